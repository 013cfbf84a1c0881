"""Processes that start in no time: they come from a server that has imported everything, and done nothing."""

import multiprocessing

import torch

from lrcore.executors.local import MAKES_NETWORKS, MEASURES


def server():
    """The context of such processes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lrcore.train", "killed_train", *MEASURES, *MAKES_NETWORKS])
    return context


def together(function, count, *arguments):
    """Run `function(rank, *arguments)` in `count` of them; what one of them raises is raised here."""
    server()
    torch.multiprocessing.start_processes(function, arguments, count, start_method="forkserver")
