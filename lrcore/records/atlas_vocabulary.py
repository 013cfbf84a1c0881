"""The words that rows of the atlas may use, and the ranges that its values lie in.

Each vocabulary is a table from a word to what it means; "" is always allowed and says that the source does not tell.
Autoencoders and protocol groups, which grow with every paper, stand beside the rows instead: `autoencoders.csv` and
`groups.csv` under `data/atlas/`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

INFINITY = math.inf


LOWER, HIGHER = "lower", "higher"


@dataclass(frozen=True)
class Quantity:
    """What was measured.

    `label`: what it is called, without its unit; `meaning`: what it is; `units`: for each unit it may be printed in the
    least and the greatest value; `better`: which values are better, `LOWER` or `HIGHER`, "" where neither is; `kind`:
    of `KINDS`.
    """

    label: str
    meaning: str
    units: Mapping[str, tuple[float, float]]
    better: str = ""
    kind: str = ""


def _plain(label: str, meaning: str, better: str = "", low: float = 0.0, high: float = INFINITY) -> Quantity:
    return Quantity(label, meaning, {"": (low, high)}, better)


def _percent(label: str, meaning: str, better: str = "") -> Quantity:
    return Quantity(label, meaning, {"%": (0.0, 100.0)}, better)


def _score(label: str, meaning: str) -> Quantity:
    return Quantity(label, meaning, {"": (0.0, 1.0), "%": (0.0, 100.0)}, HIGHER)


def _in(unit: str, label: str, meaning: str, better: str = "", low: float = 0.0, high: float = INFINITY) -> Quantity:
    return Quantity(label, meaning, {unit: (low, high)}, better)


KINDS: Mapping[str, Mapping[str, Quantity]] = {
    "samples": {
        "gfid": _plain(
            "gFID", "Fréchet Inception distance of generated samples; `guidance` says whether they were guided", LOWER
        ),
        "is": _plain("Inception score", "Inception score of generated samples", HIGHER, 1.0),
        "fdr_dinov2": _plain("FDr, DINOv2", "FDr of generated samples in features of DINOv2", LOWER),
        "fdr_mae": _plain("FDr, MAE", "FDr of generated samples in features of the MAE", LOWER),
        "fdr_siglip": _plain("FDr, SigLIP", "FDr of generated samples in features of SigLIP", LOWER),
        "fdr_convnext": _plain("FDr, ConvNeXt", "FDr of generated samples in features of ConvNeXt", LOWER),
        "fdr_clip": _plain("FDr, CLIP", "FDr of generated samples in features of CLIP", LOWER),
        "fdr_inception": _plain("FDr, Inception", "FDr of generated samples in features of the Inception", LOWER),
        "fdr6": _plain("FDr, six feature spaces", "FDr of generated samples over six feature spaces", LOWER),
        "geneval": _score("GenEval", "GenEval of text-to-image samples"),
        "dpgbench": _score("DPG-Bench", "DPG-Bench of text-to-image samples"),
        "genaibench": _score("GenAI-Bench", "GenAI-Bench of text-to-image samples"),
        "simpleeval": _score("SimpleEval", "SimpleEval of text-to-image samples"),
        "win_rate": _percent("win rate", "comparisons that people decided for the model", HIGHER),
        "epochs_to_unguided_fid_2": _in(
            "epochs", "epochs until the unguided FID is 2", "epochs until the unguided FID is 2", LOWER
        ),
        "fid_difference_balanced_vs_random_labels": _plain(
            "FID of random less balanced labels", "FID of random labels less that of balanced ones", "", -INFINITY
        ),
    },
    "reconstruction": {
        "rfid": _plain("rFID", "Fréchet Inception distance of reconstructions", LOWER),
        "psnr": _in("dB", "PSNR", "peak signal-to-noise ratio of reconstructions", HIGHER, 0.0, 100.0),
        "ssim": _plain("SSIM", "structural similarity of reconstructions", HIGHER, -1.0, 1.0),
        "lpips": _plain("LPIPS", "LPIPS of reconstructions; the source's own variant", LOWER),
        "mse": _plain("MSE", "mean squared error of reconstructions", LOWER),
        "ris": _plain("Inception score of reconstructions", "Inception score of reconstructions", HIGHER, 1.0),
    },
    "latent": {
        "ifid": _plain("iFID", "interpolated FID: of decoded latents between neighbours", LOWER),
        "linear_probe": _percent("linear probe", "images whose class a linear probe of the latent names first", HIGHER),
        "linear_probe_top5": _percent(
            "linear probe, top 5", "images whose class a linear probe of the latent names among the first five", HIGHER
        ),
        "eq_loss": _plain("EQ loss", "EQ loss column of its source", LOWER),
        "se_loss": _plain("SE loss", "SE loss column of its source", LOWER),
        "equivariance_error_rotation": _plain(
            "equivariance error, rotation", "equivariance error under rotation", LOWER
        ),
        "equivariance_error_scale": _plain("equivariance error, scaling", "equivariance error under scaling", LOWER),
        "gmm_loss": _plain("GMM loss", "GMM loss column of its source", LOWER, -INFINITY),
        "viv": _plain("VIV", "velocity irreducible variance", LOWER),
        "vf_loss": _plain("VF loss", "VF loss column of its source", LOWER),
        "lds_a": _plain("LDS, first column", "first LDS column of its source"),
        "lds_b": _plain("LDS, second column", "second LDS column of its source"),
        "cds": _plain("CDS", "CDS column of its source", HIGHER, -1.0, 1.0),
        "sec_at_0.5": _plain("SEC@0.5", "SEC@0.5 column of its source", "", 0.0, 1.0),
        "cknna": _plain("CKNNA", "alignment with a vision encoder by neighbours", HIGHER, -1.0, 1.0),
        "se_cknna": _plain("SE-CKNNA", "the same under semantics-preserving transforms", HIGHER, -1.0, 1.0),
        "density_cv": _plain("variation of the density", "coefficient of variation of the latents' density"),
        "gini": _plain("Gini coefficient of the density", "Gini coefficient of the latents' density", "", 0.0, 1.0),
        "normalized_entropy": _plain(
            "entropy of the density", "entropy of the latents' density over its maximum", "", 0.0, 1.0
        ),
        "kl": _plain("KL divergence to the prior", "Kullback-Leibler divergence of the posterior to the prior"),
        "attribute_probe_f1_celeba": _plain(
            "attribute probe, CelebA (F1)", "F1 of attributes read from the latent, CelebA", HIGHER, 0.0, 1.0
        ),
        "attribute_probe_f1_deepfashion": _plain(
            "attribute probe, DeepFashion (F1)", "F1 of attributes read from the latent, DeepFashion", HIGHER, 0.0, 1.0
        ),
        "attribute_probe_f1_awa": _plain(
            "attribute probe, Animals with Attributes (F1)", "F1 of attributes read from the latent, AwA", HIGHER, 0.0,
            1.0,
        ),
    },
    "setting": {
        "best_cfg_scale": _plain("best guidance scale", "guidance scale with the lowest FID of those tried"),
        "best_trainshift": _plain("best train shift", "training timeshift with the lowest FID of those tried"),
        "best_sampleshift": _plain("best sample shift", "sampling timeshift with the lowest FID of those tried"),
        "predicted_shift": _plain("predicted shift", "timeshift that the source's rule predicts"),
        "shift_used": _plain(
            "shift in use", "timeshift that was used; `trainshift` and `sampleshift` say where"
        ),
        "sampleshift_used": _plain(
            "sample shift in use", "timeshift that was used in sampling, in the source's own convention"
        ),
        "best_trainp_is_ts": _percent(
            "cases with shifted uniform as best density",
            "cases in which shifted uniform is the best training density",
        ),
        "relative_spread_trainp": _percent(
            "change of the FID over training densities", "change of the FID from the best to the worst training density"
        ),
        "relative_spread_trainshift": _percent(
            "change of the FID over train shifts", "change of the FID from the best to the worst training shift"
        ),
        "relative_spread_sampleshift": _percent(
            "change of the FID over sample shifts", "change of the FID from the best to the worst sampling shift"
        ),
        "trainings": _in("trainings", "trainings of the study", "trainings of the study", "", 1.0),
        "sampleshifts_per_training": _plain(
            "sample shifts of each training", "sampling shifts of each training", "", 1.0
        ),
        "evaluation_interval": _in(
            "steps", "steps between evaluations", "steps from one evaluation to the next", "", 1.0
        ),
    },
    "size": {
        "resolution": _in("pixels", "resolution", "height and width of the images", "", 1.0),
        "tokens": _plain("tokens", "tokens per latent", "", 1.0),
        "channels_per_token": _plain("channels per token", "channels per token", "", 1.0),
        "params_encoder": _plain("parameters of the encoder", "parameters of the encoder", "", 1.0),
    },
    "correlations": {
        "pearson_with_gfid": _plain(
            "Pearson correlation with the gFID", "Pearson correlation of `predictor` with the gFID, over autoencoders",
            "", -1.0, 1.0,
        ),
        "pearson_abs_with_gfid": _plain(
            "size of the Pearson correlation with the gFID", "the size of that correlation", "", 0.0, 1.0
        ),
        "r2_with_gfid": _plain(
            "share of the gFID's variance", "share of the gFID's variance that `predictor` explains", "", 0.0, 1.0
        ),
        "pearson_lnc_vs_linear_probe": _plain(
            "Pearson correlation with linear probing", "Pearson correlation of `predictor` with linear probing", "",
            -1.0, 1.0,
        ),
        "pearson_imagenet_fid_vs_t2i": _plain(
            "Pearson correlation with the ImageNet FID", "Pearson correlation of the ImageNet FID with `predictor`",
            "", -1.0, 1.0,
        ),
    },
}  # fmt: skip
"""What can be measured, by what it is measured of: generated samples, reconstructions, latents without a generator,
a setting, an autoencoder's size, and correlations as sources print them."""

QUANTITIES = {name: replace(one, kind=kind) for kind, of_kind in KINDS.items() for name, one in of_kind.items()}
"""By name."""

CORRELATIONS = (
    "pearson_with_gfid", "pearson_abs_with_gfid", "r2_with_gfid", "pearson_lnc_vs_linear_probe",
    "pearson_imagenet_fid_vs_t2i",
)  # fmt: skip
"""Quantities that are of many autoencoders together; their `n` counts those, not images."""

FAMILIES = {
    "kl": "convolutional or transformer autoencoder with a KL term",
    "aligned-kl": "the same, aligned with a vision encoder or tuned together with a generator",
    "frozen-encoder": "decoder for the features of a pretrained vision encoder",
    "vq": "quantised latents",
    "video": "autoencoder of videos, used for images",
    "pixels": "no autoencoder",
    "other": "none of these",
}

VERIFIED = {
    "commit": "the file of a repository at the commit that `repository` names",
    "once": "a page, card or paper that was read once; no commit can be named",
}

BOUNDS = {">": "more than the value", "<": "less than the value", "~": "about the value"}

DATASETS = {
    "imagenet": "ImageNet-1k",
    "coco2017": "MS COCO 2017",
    "blip3o": "text-to-image pairs of BLIP3o",
    "mjhq": "MJHQ-30K",
    "yfcc": "YFCC",
    "celeba": "CelebA",
    "deepfashion": "DeepFashion",
    "awa": "Animals with Attributes",
    "text": "images of text; the source's own set",
    "dogs": "pictures of dogs with captions; the source's own set",
    "own": "images of the source's own choice",
}

SPLITS = {"val": "validation images", "train": "training images"}

REFERENCES = {
    "adm": "statistics of ADM's evaluation suite (VIRTUAL_imagenet256_labeled)",
    "jit_in256": "statistics that JiT and DiffusionBench ship (jit_in256_stats)",
}

SAMPLERS = {
    "euler": "Euler steps of the ODE",
    "euler_maruyama": "Euler-Maruyama steps of the SDE",
    "ode": "an ODE; the solver is not stated",
    "sde": "an SDE; the solver is not stated",
    "dopri5": "adaptive Runge-Kutta steps of the ODE",
    "ddpm": "ancestral steps of DDPM",
    "ddim": "steps of DDIM",
    "riemannian_euler": "Euler steps on a sphere",
}

GUIDANCE = {
    "none": "no guidance",
    "cfg": "classifier-free guidance; of the scale that the row gives, or none is stated",
    "cfg_best": "classifier-free guidance, its scale searched for each latent",
    "cfg_interval": "classifier-free guidance in an interval of times",
    "autoguidance": "guidance by a weaker model",
    "repa_guidance": "guidance by the model's own aligned features",
    "guided": "guided; how is not stated",
}

LABEL_RULES = {"balanced": "as many samples of each class", "random": "classes drawn at random"}

DENSITIES = {
    "ts": "uniform, then shifted",
    "ln": "logit-normal",
    "pln": "plateau logit-normal",
    "uniform": "uniform",
    "ln mu 0.0": "logit-normal, location 0, scale 1 where stated",
    "ln mu -0.4": "logit-normal, location -0.4",
    "ln mu -0.8": "logit-normal, location -0.8",
    "ln mu -1.2": "logit-normal, location -1.2",
    "ln -1.1 0.8": "logit-normal, location -1.1, scale 0.8",
    "ln -1.94 1.0": "logit-normal, location -1.94, scale 1",
}

VOCABULARIES: Mapping[str, Mapping[str, object]] = {
    "verified": VERIFIED,
    "quantity": QUANTITIES,
    "dataset": DATASETS,
    "split": SPLITS,
    "reference": REFERENCES,
    "bound": BOUNDS,
    "sampler": SAMPLERS,
    "guidance": GUIDANCE,
    "label_rule": LABEL_RULES,
    "density": DENSITIES,
}
"""By column."""
