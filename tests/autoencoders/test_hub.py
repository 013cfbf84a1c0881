"""Pretrained autoencoders that cannot be had: what is the matter is said at once, and what to do about it."""

import shlex
import socket
import subprocess
import sys
import time

import pytest
import torch
from diffusers import AutoencoderKL
from huggingface_hub import constants

from lrcore.autoencoders import hub, kl, loading
from lrcore.autoencoders.loading import load_model, stored_config
from lrcore.errors import LrcoreError
from lrcore.studies.loading import load_study


@pytest.fixture
def closed(monkeypatch):
    """A hub at an address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.delenv("LRCORE_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return endpoint


def test_a_hub_that_cannot_be_reached_is_named_at_once(closed):
    began = time.monotonic()
    message = rf"'owner/model/vae' cannot be had: the hub {closed} cannot be reached \(Conn.*To supply it by hand"
    with pytest.raises(LrcoreError, match=message):
        stored_config("owner/model", "vae")
    assert time.monotonic() - began < hub.REACH_WITHIN


def test_what_was_fetched_before_needs_no_hub(closed, monkeypatch):
    monkeypatch.setattr(
        loading, "is_cached", lambda source, file, revision: (source, file) == ("owner/model", "config.json")
    )
    asked = []
    monkeypatch.setattr(
        AutoencoderKL, "load_config", lambda source, **place: asked.append(place) or {"_class_name": "X"}
    )
    assert stored_config("owner/model") == {"_class_name": "X"}
    assert asked == [{"subfolder": None, "revision": None, "local_files_only": True}]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(LrcoreError, match="HF_HUB_OFFLINE forbids it"):
        stored_config("owner/other")


def test_a_hub_that_answers_anything_is_reached(monkeypatch):
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    server = HTTPServer(("127.0.0.1", 0), type("Refuses", (BaseHTTPRequestHandler,), {"log_message": lambda *_: None}))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert hub.unreachable(f"http://127.0.0.1:{server.server_port}") == ""  # 501: it knows no HEAD
    finally:
        server.shutdown()
    assert "unknown url type" in hub.unreachable("nowhere")


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path):
    model = kl.small_model(load_study("smoke").autoencoders["sd"], 32)
    folder = tmp_path / "somebody's vae"
    model.save_pretrained(folder, safe_serialization=False)
    with pytest.raises(
        LrcoreError, match=r"diffusion_pytorch_model.bin' is a pickle, .* is not read; convert"
    ) as caught:
        load_model(AutoencoderKL, folder)
    program, *command = shlex.split(str(caught.value).partition("convert it once: ")[2])
    assert program == "python" and "\n" not in str(caught.value)
    subprocess.run([sys.executable, *command], check=True)
    loaded = load_model(AutoencoderKL, folder).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


NAMES = ["README.md", "vae/config.json", "vae/diffusion_pytorch_model.fp16.safetensors", "unet/config.json"]


def test_the_variants_of_a_repository_are_those_of_its_subfolder(monkeypatch):
    asked = []

    def listed(api, repository, revision=None):
        asked.append((repository, revision))
        return [*NAMES, "diffusion_pytorch_model.safetensors"]

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", listed)
    found = hub.file_names("owner/model", "vae", "main", local=False)
    assert found == ["config.json", "diffusion_pytorch_model.fp16.safetensors"] and asked == [("owner/model", "main")]
    assert "diffusion_pytorch_model.safetensors" in hub.file_names("owner/model", "", "", local=False)
    assert loading._variant("owner/model", "vae", "main", "", "owner/model/vae", local=False) == "fp16"
    with pytest.raises(LrcoreError, match="'owner/model/vae' holds no weights of the variant 'bf16'; it has"):
        loading._variant("owner/model", "vae", "", "bf16", "owner/model/vae", local=False)


def test_a_hub_that_does_not_list_leaves_the_variant_as_it_was_asked_for(monkeypatch):
    def broken(api, repository, revision=None):
        raise RuntimeError("broken off")

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", broken)
    for wanted in ("", "fp16"):
        assert loading._variant("owner/model", "", "", wanted, "owner/model", local=False) == wanted


def test_what_was_fetched_before_is_looked_at_without_the_hub(tmp_path, monkeypatch):
    for name in ("config.json", "diffusion_pytorch_model.fp16.safetensors"):
        (tmp_path / name).touch()
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda repository, file, revision=None: str(tmp_path / file)
    )
    assert loading._variant("owner/model", "", "", "", "owner/model", local=True) == "fp16"


@pytest.mark.parametrize(
    ("names", "variant"),
    [
        (["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"], ""),
        (["diffusion_pytorch_model.fp16-00001-of-00002.safetensors"], "fp16"),
        (["diffusion_pytorch_model-00001-of-00002.fp16.safetensors"], "fp16"),
        (["diffusion_pytorch_model-00001-of-00002.safetensors"], ""),
        (["taesd_encoder.safetensors", "config.json"], ""),
    ],
)
def test_shards_are_of_their_variant(tmp_path, names, variant):
    for name in names:
        (tmp_path / name).touch()
    assert loading._variant(tmp_path, "", "", "", str(tmp_path), local=True) == variant
