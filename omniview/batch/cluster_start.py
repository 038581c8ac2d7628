"""Clusters of our own: workers on this machine, or jobs that a queueing system starts.

A local worker is a program of its own rather than a fork of Dask's: it hears no Ctrl-C, which is ours to
hear, and does not run the person's script once more in order to start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from distributed import Scheduler
from distributed.deploy import SpecCluster
from distributed.deploy.spec import ProcessInterface

from omniview.batch.processes import environment
from omniview.errors import OmniViewError, SettingsError

if TYPE_CHECKING:
    from dask_jobqueue import JobQueueCluster

__all__ = ["on_this_machine", "queued"]

_HERE: Mapping[str, Any] = MappingProxyType({"host": "127.0.0.1", "dashboard_address": None})
_WORKER = "from distributed.cli.dask_spec import main; main()"
_QUIET = MappingProxyType(
    {
        # the workers share the cores; what they log is told by the rows
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "DASK_LOGGING__DISTRIBUTED": "critical",
    }
)
_END_S = 10.0
"""How long a worker may take to end before it is killed."""


async def on_this_machine(workers: int, threads: int, gpus: Sequence[str]) -> SpecCluster:
    """A cluster of worker processes here, which nobody else can connect to.

    Args:
        workers: how many.
        threads: cases that each works at.
        gpus: names of the devices: each worker sees one, taken in turn.

    Raises:
        OmniViewError: they cannot be started.
    """
    devices = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus] or [{}]
    specs = {
        number: {
            "cls": _Worker,
            "options": {"threads": threads, "device": devices[number % len(devices)]},
        }
        for number in range(workers)
    }
    # a case that lost two workers is looked at alone: see `Cluster`
    options = {**_HERE, "dashboard": False, "allowed_failures": 1}
    cluster = SpecCluster(
        specs,
        {"cls": Scheduler, "options": options},
        asynchronous=True,
        silence_logs=logging.CRITICAL,
        name="omniview",
    )
    return await _begun(cluster)


async def queued(queue: str, kind_name: str, jobs: int, threads: int) -> SpecCluster:
    """A cluster whose workers are jobs, submitted when this returns; they may wait for long to start.

    Args:
        queue: name of the system.
        kind_name: of its class in dask-jobqueue.
        jobs: how many.
        threads: cases that each works at.

    Raises:
        SettingsError: dask-jobqueue's own file does not say enough, the system's commands are not here, or
            this is not the main thread.
        OmniViewError: the system refuses the jobs.
    """
    kind: type[JobQueueCluster] = getattr(_dask_jobqueue(), kind_name)
    command = shlex.split(kind.job_cls.submit_command)[0]
    if shutil.which(command) is None:
        raise SettingsError(
            f"--scheduler {queue} submits jobs by {command}, which is not on this machine.",
            "Score where jobs are submitted from, or use --jobs N on this machine.",
        )
    try:
        cluster = kind(asynchronous=True, cores=threads, processes=1)
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"A job for {queue} cannot be described: {_line(error, 0)}.",
            f"Write memory, queue and account under jobqueue: {queue}: in ~/.config/dask/jobqueue.yaml.",
        ) from error
    # not by scale(), which would submit behind our back and leave a refusal unheard
    for _ in range(jobs):
        cluster.worker_spec.update(cluster.new_worker_spec())
    return await _begun(cluster)


def _dask_jobqueue() -> Any:
    """The package; as it is imported it takes Ctrl-C for itself, which is given back."""
    ours = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue
    except ValueError as error:  # nobody may take it outside of the main thread
        raise SettingsError(
            "Only a program's main thread can submit jobs to a queueing system.",
            "Call omniview.score there, or use another process for it.",
        ) from error
    if signal.getsignal(signal.SIGINT) is not ours:
        signal.signal(signal.SIGINT, ours)
    return dask_jobqueue


async def _begun(cluster: SpecCluster) -> SpecCluster:
    try:
        return await cluster
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        with contextlib.suppress(OSError, RuntimeError, TimeoutError, AssertionError):
            await cluster.close()
        raise OmniViewError(
            f"The workers cannot be started: {_line(error, -1)}.", "Use --jobs N on this machine."
        ) from error


def _line(error: Exception, number: int) -> str:
    """One line of what an error says, which may be many, to go on within a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[number].removesuffix(", for example:").rstrip(".") if lines else type(error).__name__


class _Worker(ProcessInterface):  # type: ignore[misc]  # distributed has no types
    """A worker and the nanny that starts it anew when it is lost, in a process group of their own."""

    def __init__(self, scheduler: str, *, name: object, threads: int, device: Mapping[str, str]) -> None:
        super().__init__(scheduler=scheduler, name=name)
        # as many cases at once as a batch gives it bound its memory; a limit would only kill it
        options = {**_HERE, "name": name, "nthreads": threads, "memory_limit": 0}
        self._spec = json.dumps({"cls": "distributed.Nanny", "opts": options})
        self._scheduler = scheduler
        self._environment = {**environment(), **_QUIET, **device}
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        # not asyncio's own subprocesses: Qt's event loop has none on Windows
        self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - this very interpreter, which starts at once
            [sys.executable, "-P", "-c", _WORKER, self._scheduler, "--spec", self._spec],
            stdin=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        await super().start()

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(_end, process)
        await super().close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        if sys.platform == "win32":
            process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
