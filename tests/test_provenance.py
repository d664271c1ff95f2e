"""Where results come from: versions, the machine, how it computes, and the commit."""

import os
import subprocess
import sys

import pytest
import torch

from singlefilter import distributed, provenance


def test_the_machine_is_part_of_keys_so_it_says_no_more_than_it_did():
    """What latency was measured on is found by this (`studies.pruning.latency`)."""
    assert set(provenance.machine()) == {"system", "processor", "cores", "memory_gib", "gpu"}


def test_ranks_are_named_where_there_are_several(monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 3)
    assert provenance.machine()["ranks"] == 3
    assert provenance.computing()["ranks"] == 3


def test_threads_are_those_of_this_process(monkeypatch):
    before = torch.get_num_threads()
    assert provenance.computing()["threads"] == before
    try:
        torch.set_num_threads(before + 1)
        found = provenance.computing()
    finally:
        torch.set_num_threads(before)
    assert found["threads"] == before + 1
    assert found["ranks"] == 1


def test_threads_of_another_process_are_its_own():
    program = "from singlefilter import provenance; print(provenance.computing()['threads'])"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True, env=environment
    )
    assert done.stdout.split() == ["1"]


BUILDS = [
    (
        "- Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605 for\n"
        "- Build settings: BLAS_INFO=mkl, ",
        "mkl_get_max_threads() : 2\n",
        ("mkl 2024.2", 2),
    ),
    ("- Build settings: BLAS_INFO=accelerate, ", "omp_get_max_threads() : 8\n", ("accelerate", None)),
    ("", "", ("unknown", None)),
]


@pytest.mark.parametrize(("built", "parallel", "expected"), BUILDS)
def test_blas_by_what_torch_says_of_itself(monkeypatch, built, parallel, expected):
    monkeypatch.setattr(torch.__config__, "show", lambda: built)
    monkeypatch.setattr(torch.__config__, "parallel_info", lambda: parallel)
    blas = provenance.computing()["blas"]
    assert (blas["torch"], blas["torch_threads"]) == expected
    assert blas["numpy"] not in ("", "unknown")


def test_versions_of_cuda_are_named_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    without = provenance.versions()
    assert set(without) == {"python", *provenance.PACKAGES}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91900)
    assert provenance.versions() == without | {"cuda": "13.0", "cudnn": "91900"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, "unknown"), ("0123abcd", "0123abcd"), ("0123abcd-dirty", "0123abcd-dirty"), ("main", "unknown")],
)
def test_the_commit_of_a_copy_is_what_the_environment_says(monkeypatch, given, expected):
    def no_repository(*_):
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.delenv("SINGLEFILTER_COMMIT", raising=False)
    if given is not None:
        monkeypatch.setenv("SINGLEFILTER_COMMIT", given)
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "_git", no_repository)
        assert provenance.commit() == expected
    monkeypatch.setattr(provenance, "_git", lambda _, what, *__: "f" * 40 if what == "rev-parse" else "")
    assert provenance.commit() == "f" * 40, "git knows better"
