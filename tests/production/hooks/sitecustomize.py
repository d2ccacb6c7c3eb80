"""Kills or holds a run at a moment that a test names. Every Python that has this folder on its path reads it.

KILL_AT  module:function:before|after:n   SIGKILL to the whole process group when the function is called, or returns,
                                          for the n-th time in one process: power loss, or the machine's own killer
HOLD_AT  module:function:before:FILE      waits there until FILE is there; FILE.reached says that it waits

Both are looked at in processes whose command line holds the word of IN only, where that is set.
"""

import functools
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from pathlib import Path


class Wrapping(importlib.abc.MetaPathFinder):
    """Finds one module as the others do, and puts a wrapper round one of its functions."""

    def __init__(self, module, function, wrap):
        self.module, self.function, self.wrap = module, function, wrap

    def find_spec(self, name, path=None, target=None):
        if name != self.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            *parts, last = self.function.split(".")
            holder = functools.reduce(getattr, parts, module)
            setattr(holder, last, self.wrap(getattr(holder, last)))

        spec.loader.exec_module = exec_module
        return spec


def killing(when, count):
    def wrap(function):
        left = [int(count)]

        def called():
            left[0] -= 1
            if not left[0]:
                os.killpg(0, signal.SIGKILL)

        @functools.wraps(function)
        def wrapped(*arguments, **options):
            if when == "before":
                called()
            result = function(*arguments, **options)
            if when == "after":
                called()
            return result

        return wrapped

    return wrap


def holding(_when, file):
    def wrap(function):
        @functools.wraps(function)
        def wrapped(*arguments, **options):
            Path(f"{file}.reached").touch()
            while not Path(file).exists():
                time.sleep(0.02)
            return function(*arguments, **options)

        return wrapped

    return wrap


def install():
    word = os.environ.get("IN")
    if word and word not in Path("/proc/self/cmdline").read_bytes().decode().split("\0"):
        return
    for variable, make in (("KILL_AT", killing), ("HOLD_AT", holding)):
        if place := os.environ.get(variable):
            module, function, when, value = place.split(":")
            sys.meta_path.insert(0, Wrapping(module, function, make(when, value)))


install()
