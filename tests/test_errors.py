"""The shape of an error message."""

from lrcore.errors import unknown


def test_it_names_value_allowed_and_nearest():
    assert str(unknown("study", "smok", ["smoke", "cifar10"])) == (
        "unknown study 'smok'; allowed: smoke, cifar10; did you mean 'smoke'?"
    )


def test_nothing_near_is_not_guessed():
    assert str(unknown("ae", "xyz", ["sd", "rae"])) == "unknown ae 'xyz'; allowed: sd, rae"
