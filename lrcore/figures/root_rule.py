"""The square root of the ratio of channels as a rule for the train shift: a table, and what it says in words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas

from lrcore.errors import LrcoreError
from lrcore.figures import words
from lrcore.figures.markdown import ae_name, code
from lrcore.figures.site_table import SiteTable
from lrcore.figures.studies import PUBLISHED
from lrcore.results import naming, numbers
from lrcore.results.root_rule import Prediction


def root_table(found: Sequence[Prediction]) -> SiteTable:
    """A row for each latent space of `results.root_rule.predictions`: the predicted train shift beside the best ones.

    Raises:
        LrcoreError: no rows.
    """
    if not found:
        raise LrcoreError("no rows: no latent space has channels per token and a best train shift")
    table = pandas.DataFrame(
        {
            "autoencoder": [naming.ae_style(one.ae).label for one in found],
            "study": [one.study or PUBLISHED for one in found],
            "channels per token": [one.channels for one in found],
            "predicted shift": [f"{one.predicted:.2f}" for one in found],
            "nearest of the grid": [f"{one.nearest:.2f}" for one in found],
            "best without REPA": [_values(one.without) or "–" for one in found],
            "best with REPA": [_values(one.with_repa) or "–" for one in found],
            "agrees": [_agreement(one) for one in found],
        }
    )
    caption = "Train shifts that the root of the ratio of channels predicts, beside the best ones"
    return SiteTable(table, "root-rule", caption, note=_note(found))


def root_in_words(found: Sequence[Prediction]) -> str:
    """Where the root predicts the best train shift, and what is best where it does not: a paragraph of the published
    study, and one of each of ours."""
    published = [one for one in found if not one.study]
    parts = [_said(published, "the published best train shift")] if published else []
    for study in dict.fromkeys(one.study for one in found if one.study):
        own = [one for one in found if one.study == study]
        parts.append(f"In study {code(study)}: {_said(own, 'the best train shift')}")
    return "\n\n".join(f"{words.capital(part)}." for part in parts)


def _said(found: Sequence[Prediction], what: str) -> str:
    known = [one for one in found if one.agrees]
    if not known:
        return "no latent space was tried with all train shifts, and with the predicted one"
    right = [one for one in known if all(one.agrees.values())]
    open_ = [one for one in right if max(map(len, (one.without, one.with_repa))) > 1]
    sure = [ae_name(one.ae) for one in right if one not in open_]
    parts = [f"the root predicts {what} of {words.joined(sure) if sure else 'none'}"] if sure or not open_ else []
    parts += [f"{_best(one)} may be best for {ae_name(one.ae)}, which the root allows" for one in open_]
    parts += [_missed(one) for one in known if not all(one.agrees.values())]
    beyond = [f"{ae_name(one.ae)} ({one.predicted:.2f})" for one in found if not one.tried]
    partly = [ae_name(one.ae) for one in found if one.tried and not one.agrees]
    if beyond:
        parts.append(f"no shift near the predicted one was tried of {words.joined(beyond)}")
    if partly:
        parts.append(f"not all shifts were tried of {words.joined(partly)}")
    return "; ".join(parts)


def _missed(one: Prediction) -> str:
    """'FLUX.2 prefers 4.63 to 2.83 (2.95 on the grid)'."""
    name, wanted = ae_name(one.ae), f"{one.predicted:.2f}"
    wanted += f" ({one.nearest:.2f} on the grid)" if f"{one.nearest:.2f}" != wanted else ""
    if any(one.agrees.values()):
        right = next(kind for kind, agrees in one.agrees.items() if agrees)
        wrong = next(kind for kind, agrees in one.agrees.items() if not agrees)
        other = one.with_repa if wrong == "with REPA" else one.without
        return f"{name} has the predicted {wanted} {right} and {_values(other)} {wrong}"
    return f"{name} prefers {_best(one)} to {wanted}"


def _best(one: Prediction) -> str:
    """Every shift that is best, or may be, without REPA or with it."""
    return _values(tuple(dict.fromkeys([*one.without, *one.with_repa])))


def _agreement(one: Prediction) -> str:
    if not one.agrees:
        return "–"
    if all(one.agrees.values()):
        return "yes"
    right = [kind for kind, agrees in one.agrees.items() if agrees]
    return f"{right[0]} only" if right else "no"


def _values(values: Sequence[float]) -> str:
    return " or ".join(numbers.value_text(float(value)) for value in values)


def _note(found: Sequence[Prediction]) -> str:
    """What a dash and an "or" mean, where there are any."""
    best = [values for one in found for values in (one.without, one.with_repa)]
    parts = []
    if any(not values for values in best) or any(not one.tried for one in found):
        parts.append("–: not all train shifts were tried, or none near the predicted one.")
    if any(len(values) > 1 for values in best):
        parts.append("“Or”: the noise of the seed does not tell them apart.")
    return " ".join(parts)
