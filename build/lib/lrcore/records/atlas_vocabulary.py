"""The words that rows of the atlas may use, and the ranges that its values lie in.

Each vocabulary is a table from a word to what it means; "" is always allowed and says that the source does not tell.
Autoencoders and protocol groups, which grow with every paper, stand beside the rows instead: `autoencoders.csv` and
`groups.csv` under `data/atlas/`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

INFINITY = math.inf


@dataclass(frozen=True)
class Quantity:
    """What was measured: its meaning, and for each unit it may be printed in the least and the greatest value."""

    meaning: str
    units: Mapping[str, tuple[float, float]]


def _plain(meaning: str, low: float = 0.0, high: float = INFINITY) -> Quantity:
    return Quantity(meaning, {"": (low, high)})


def _percent(meaning: str) -> Quantity:
    return Quantity(meaning, {"%": (0.0, 100.0)})


def _score(meaning: str) -> Quantity:
    return Quantity(meaning, {"": (0.0, 1.0), "%": (0.0, 100.0)})


QUANTITIES = {
    # of generated samples
    "gfid": _plain("Fréchet Inception distance of generated samples; `guidance` says whether they were guided"),
    "is": _plain("Inception score of generated samples", 1.0),
    "fdr_dinov2": _plain("FDr of generated samples in features of DINOv2"),
    "fdr_mae": _plain("FDr of generated samples in features of the MAE"),
    "fdr_siglip": _plain("FDr of generated samples in features of SigLIP"),
    "fdr_convnext": _plain("FDr of generated samples in features of ConvNeXt"),
    "fdr_clip": _plain("FDr of generated samples in features of CLIP"),
    "fdr_inception": _plain("FDr of generated samples in features of the Inception"),
    "fdr6": _plain("FDr of generated samples over six feature spaces"),
    "geneval": _score("GenEval of text-to-image samples"),
    "dpgbench": _score("DPG-Bench of text-to-image samples"),
    "genaibench": _score("GenAI-Bench of text-to-image samples"),
    "simpleeval": _score("SimpleEval of text-to-image samples"),
    "win_rate": _percent("comparisons that people decided for the model"),
    "epochs_to_unguided_fid_2": Quantity("epochs until the unguided FID is 2", {"epochs": (0.0, INFINITY)}),
    "fid_difference_balanced_vs_random_labels": _plain("FID of random labels less that of balanced ones", -INFINITY),
    # of reconstructions
    "rfid": _plain("Fréchet Inception distance of reconstructions"),
    "psnr": Quantity("peak signal-to-noise ratio of reconstructions", {"dB": (0.0, 100.0)}),
    "ssim": _plain("structural similarity of reconstructions", -1.0, 1.0),
    "lpips": _plain("LPIPS of reconstructions; the source's own variant"),
    "mse": _plain("mean squared error of reconstructions"),
    "ris": _plain("Inception score of reconstructions", 1.0),
    # of latents, without a generator
    "ifid": _plain("interpolated FID: of decoded latents between neighbours"),
    "linear_probe": _percent("images whose class a linear probe of the latent names first"),
    "linear_probe_top5": _percent("images whose class a linear probe of the latent names among the first five"),
    "eq_loss": _plain("EQ loss column of its source"),
    "se_loss": _plain("SE loss column of its source"),
    "equivariance_error_rotation": _plain("equivariance error under rotation"),
    "equivariance_error_scale": _plain("equivariance error under scaling"),
    "gmm_loss": _plain("GMM loss column of its source", -INFINITY),
    "viv": _plain("velocity irreducible variance"),
    "vf_loss": _plain("VF loss column of its source"),
    "lds_a": _plain("first LDS column of its source"),
    "lds_b": _plain("second LDS column of its source"),
    "cds": _plain("CDS column of its source", -1.0, 1.0),
    "sec_at_0.5": _plain("SEC@0.5 column of its source", 0.0, 1.0),
    "cknna": _plain("alignment with a vision encoder by neighbours", -1.0, 1.0),
    "se_cknna": _plain("the same under semantics-preserving transforms", -1.0, 1.0),
    "density_cv": _plain("coefficient of variation of the latents' density"),
    "gini": _plain("Gini coefficient of the latents' density", 0.0, 1.0),
    "normalized_entropy": _plain("entropy of the latents' density over its maximum", 0.0, 1.0),
    "kl": _plain("Kullback-Leibler divergence of the posterior to the prior"),
    "attribute_probe_f1_celeba": _plain("F1 of attributes read from the latent, CelebA", 0.0, 1.0),
    "attribute_probe_f1_deepfashion": _plain("F1 of attributes read from the latent, DeepFashion", 0.0, 1.0),
    "attribute_probe_f1_awa": _plain("F1 of attributes read from the latent, AwA", 0.0, 1.0),
    # of a setting
    "best_cfg_scale": _plain("guidance scale with the lowest FID of those tried"),
    "best_trainshift": _plain("training timeshift with the lowest FID of those tried"),
    "best_sampleshift": _plain("sampling timeshift with the lowest FID of those tried"),
    "predicted_shift": _plain("timeshift that the source's rule predicts"),
    "shift_used": _plain("timeshift that was used; `trainshift` and `sampleshift` say where"),
    "sampleshift_used": _plain("timeshift that was used in sampling, in the source's own convention"),
    "best_trainp_is_ts": _percent("cases in which shifted uniform is the best training density"),
    "relative_spread_trainp": _percent("change of the FID from the best to the worst training density"),
    "relative_spread_trainshift": _percent("change of the FID from the best to the worst training shift"),
    "relative_spread_sampleshift": _percent("change of the FID from the best to the worst sampling shift"),
    "trainings": Quantity("trainings of the study", {"trainings": (1.0, INFINITY)}),
    "sampleshifts_per_training": _plain("sampling shifts of each training", 1.0),
    "evaluation_interval": Quantity("steps from one evaluation to the next", {"steps": (1.0, INFINITY)}),
    # of an autoencoder's size
    "resolution": Quantity("height and width of the images", {"pixels": (1.0, INFINITY)}),
    "tokens": _plain("tokens per latent", 1.0),
    "channels_per_token": _plain("channels per token", 1.0),
    "params_encoder": _plain("parameters of the encoder", 1.0),
    # correlations, as printed
    "pearson_with_gfid": _plain("Pearson correlation of `predictor` with the gFID, over autoencoders", -1.0, 1.0),
    "pearson_abs_with_gfid": _plain("the size of that correlation", 0.0, 1.0),
    "r2_with_gfid": _plain("share of the gFID's variance that `predictor` explains", 0.0, 1.0),
    "pearson_lnc_vs_linear_probe": _plain("Pearson correlation of `predictor` with linear probing", -1.0, 1.0),
    "pearson_imagenet_fid_vs_t2i": _plain("Pearson correlation of the ImageNet FID with `predictor`", -1.0, 1.0),
}  # fmt: skip
"""By name; distances and losses are better when lower, scores when higher."""

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
