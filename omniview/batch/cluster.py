"""Cases done on a Dask cluster: this machine's, one that is there already, or jobs of a queueing system.

Dask moves the cases, watches the workers and gives a lost worker's cases to another one; each worker loads
its models once. Of a lost worker Dask knows only which cases it had, not which of them was its end: those
that lost several workers are done once more, one at a time. The journal stays with this process alone, so
that a run on a cluster is resumed, refused and published like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import omniview
from omniview.batch.cluster_worker import (
    INSTALL,
    Expected,
    MadeOf,
    Refusal,
    perform_here,
    version_here,
)
from omniview.batch.processes import AHEAD
from omniview.batch.station import Bounds
from omniview.batch.work import Done, Work, done_without
from omniview.core.cores import cores
from omniview.core.installing import install_line
from omniview.errors import OmniViewError, SettingsError
from omniview.io.pair_types import Pair
from omniview.io.remote import is_remote

if TYPE_CHECKING:
    from distributed import Client
    from distributed.deploy import SpecCluster

__all__ = ["LOCAL", "QUEUES", "Cluster", "workers_here"]

LOCAL = "local"
QUEUES: Mapping[str, str] = MappingProxyType(
    {
        "slurm": "SLURMCluster",
        "pbs": "PBSCluster",
        "lsf": "LSFCluster",
        "sge": "SGECluster",
        "htcondor": "HTCondorCluster",
        "oar": "OARCluster",
        "moab": "MoabCluster",
    }
)
"""Queueing systems to their class in dask-jobqueue; memory, queue and account come from its own file."""

_REACH_S = 10.0
"""How long a scheduler may take to answer."""
_START_S = 120.0
"""How long the first worker on this machine may take to start; one that queues is waited for."""
_SERVED = 64
"""Workers that a cluster of somebody else's is taken to have: what they cannot take at once waits there, and
is what lets such a cluster grow."""
_GONE = "Score again with --resume; what is finished is kept."


class Cluster:
    """Does cases on a Dask cluster; use it from one event loop.

    Args:
        scheduler: address of a scheduler, "local", or a key of `QUEUES`.
        jobs: workers to start where the cluster is ours; on this machine at least one a GPU.
        asking: cases beyond the local ones that a worker may have waiting for an omnimodel, and ask at once;
            shared out among the workers of a cluster that is there already.
        made_of: what the answers are made of, which is to be the same on every worker; None: not looked at.
    """

    def __init__(
        self, scheduler: str, *, jobs: int = 1, asking: int = 0, made_of: MadeOf | None = None
    ) -> None:
        self._expected = Expected(omniview.__version__, look=made_of)
        self._scheduler = scheduler
        self._gpus = _gpus() if scheduler == LOCAL else ()
        self._jobs = workers_here(scheduler, jobs) if scheduler == LOCAL else jobs
        self._bounds = Bounds(max(1, cores() // self._jobs) if scheduler == LOCAL else 0, max(1, asking))
        self._places = AHEAD + asking
        self._ours = scheduler == LOCAL or scheduler in QUEUES
        self.capacity = (self._jobs if self._ours else max(jobs, _SERVED)) * self._places
        self._opening = asyncio.Lock()
        self._side_by_side = asyncio.Semaphore(self.capacity)
        self._one = asyncio.Lock()
        self._cluster: SpecCluster | None = None
        self._client: Client | None = None

    async def do(self, work: Work) -> Done:
        """What became of the case; one that loses its workers also when it is alone is a failed row.

        Raises:
            OmniViewError: there is no cluster, or it is gone, or a worker of it cannot give the run's rows.
        """
        client = await self._open()  # says so where what is imported next is not installed

        from distributed import KilledWorker

        async with self._side_by_side:
            seen = await asyncio.to_thread(_seen, work.pair)
            try:
                return await self._done(client, work, seen)
            except KilledWorker:
                pass  # this case's doing, or that of one beside it
        async with self._one, self._nobody_else():
            try:
                return await self._done(client, work, seen)
            except KilledWorker as error:
                times = error.allowed_failures + 1
                reason = OmniViewError(
                    f"{times} workers ended while they were at this case alone.",
                    "Try it on this machine, with more memory.",
                )
                return done_without(work.pair, work.order, reason, died=True)

    @contextlib.asynccontextmanager
    async def _nobody_else(self) -> AsyncIterator[None]:
        """Within, no other case is at work."""
        async with contextlib.AsyncExitStack() as places:
            for _ in range(self.capacity):
                await places.enter_async_context(self._side_by_side)
            yield

    async def _done(self, client: Client, work: Work, seen: Sequence[Path]) -> Done:
        from distributed import CancelledError
        from distributed.comm import CommClosedError

        # not pure: the same question may be put again after a file has changed
        future = client.submit(perform_here, work, self._expected, seen, self._bounds, pure=False)
        try:
            done: Done | Refusal = await future.result()
        except (CancelledError, CommClosedError, OSError, TimeoutError) as error:
            raise OmniViewError(
                f"The cluster's scheduler is gone ({type(error).__name__}).", _GONE
            ) from error
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):  # what nobody waits for any more need not be done
                await client.cancel([future])
            raise
        if isinstance(done, Done):
            return done
        raise OmniViewError(*done)

    async def close(self) -> None:
        """Leave the cluster; end it where it is ours."""
        client, self._client = self._client, None
        cluster, self._cluster = self._cluster, None
        for part in (client, cluster):
            if part is not None:
                with contextlib.suppress(OSError, TimeoutError):
                    await part.close()

    async def _open(self) -> Client:
        async with self._opening:
            if self._client is None:
                if (look := self._expected.look) is not None:
                    self._expected = replace(self._expected, made_of=await asyncio.to_thread(look))
                try:
                    self._client = await self._connect()
                except ImportError as error:
                    raise SettingsError(
                        f"--scheduler needs {error.name}, which is not installed.",
                        f"Install it: {install_line('omniview[cluster]')}",
                    ) from error
            return self._client

    async def _connect(self) -> Client:
        from distributed import Client

        for name in ("distributed", "distributed.client"):  # the rows tell of a worker's end, we of the rest
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._cluster = await self._start()
        client = Client(self._cluster or self._scheduler, asynchronous=True, timeout=_REACH_S)
        try:
            await client
            await client.wait_for_workers(1, timeout=_START_S if self._scheduler == LOCAL else None)
            there = await _same_version(client)
            if not self._ours:
                self._bounds = replace(self._bounds, cloud=max(1, self._bounds.cloud // there))
        except BaseException as error:
            await client.close()
            if not isinstance(error, OSError | TimeoutError | ValueError):
                raise
            raise OmniViewError(
                f"The scheduler at {self._scheduler} cannot be reached ({type(error).__name__}).",
                "Check the address, or use --jobs N on this machine.",
            ) from error
        return client

    async def _start(self) -> SpecCluster | None:
        """A cluster of our own, or None where an address says that there is one."""
        from omniview.batch.cluster_start import on_this_machine, queued

        if self._scheduler == LOCAL:
            return await on_this_machine(self._jobs, self._places, self._gpus)
        if self._scheduler in QUEUES:
            return await queued(self._scheduler, QUEUES[self._scheduler], self._jobs, self._places)
        return None


def _seen(pair: Pair) -> tuple[Path, ...]:
    """The files of a pair that are to be found by their paths, and are. Blocks."""
    return tuple(path for path in pair.files if not is_remote(path) and path.exists())


async def _same_version(client: Client) -> int:
    """How many workers there are; refuses other versions: their rows would not be those of this run.

    Raises:
        OmniViewError: a worker runs another version, or has no OmniView.
    """
    found: Mapping[str, Any] = await client.run(version_here, on_error="return")
    for worker, version in found.items():
        if version != omniview.__version__:
            has = f"OmniView {version}" if isinstance(version, str) else f"no OmniView ({version})"
            raise OmniViewError(
                f"The worker {worker} has {has}, this is {omniview.__version__}.",
                INSTALL,
            )
    return max(1, len(found))


def workers_here(scheduler: str, jobs: int) -> int:
    """How many workers share this machine, where `jobs` are asked for; one elsewhere has a machine alone."""
    if scheduler == LOCAL:
        return max(jobs, len(_gpus()))
    return 1 if scheduler else jobs


def _gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(one.strip() for one in chosen.split(",") if one.strip() not in ("", "-1"))
    if (smi := shutil.which("nvidia-smi")) is None:
        return ()
    listed = subprocess.run([smi, "-L"], capture_output=True, text=True, check=False)  # noqa: S603
    return tuple(
        str(number) for number, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")
    )
