"""Cases done on a Dask cluster: this machine's, one that is there already, or jobs of a queueing system.

Dask moves the cases, watches the workers and gives a lost worker's cases to another one; each worker loads
its models once. The journal stays with this process alone, so that a run on a cluster is resumed, refused
and published like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import omniview
from omniview.batch.processes import AHEAD
from omniview.batch.work import Done, Work, done_without
from omniview.errors import OmniViewError, SettingsError

if TYPE_CHECKING:
    from distributed import Client
    from distributed.deploy import SpecCluster

__all__ = ["LOCAL", "QUEUES", "Cluster"]

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
        asking: cases beyond the local ones that a worker may have waiting for an omnimodel.
    """

    def __init__(self, scheduler: str, *, jobs: int = 1, asking: int = 0) -> None:
        self._scheduler = scheduler
        self._gpus = _gpus() if scheduler == LOCAL else 0
        self._jobs = max(jobs, self._gpus)
        self._places = AHEAD + asking
        ours = scheduler == LOCAL or scheduler in QUEUES
        self.capacity = (self._jobs if ours else max(jobs, _SERVED)) * self._places
        self._opening = asyncio.Lock()
        self._cluster: SpecCluster | None = None
        self._client: Client | None = None

    async def do(self, work: Work) -> Done:
        """What became of the case; one that lost several workers is a failed row.

        Raises:
            OmniViewError: there is no cluster, or it is gone.
        """
        client = await self._open()
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        # not pure: the same question may be put again after a file has changed
        future = client.submit(_perform, work, omniview.__version__, pure=False)
        try:
            done: Done | str = await future.result()
            if isinstance(done, str):
                raise OmniViewError(done, "Install the same version on every worker.")
            return done
        except KilledWorker as error:
            times = error.allowed_failures + 1
            reason = OmniViewError(
                f"{times} workers ended while they were at this case.", "Try it alone, with more memory."
            )
            return done_without(work.pair, work.order, reason, died=True)
        except (CancelledError, CommClosedError, OSError, TimeoutError) as error:
            raise OmniViewError(
                f"The cluster's scheduler is gone ({type(error).__name__}).", _GONE
            ) from error
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):  # what nobody waits for any more need not be done
                await client.cancel([future])
            raise

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
                try:
                    self._client = await self._connect()
                except ImportError as error:
                    raise SettingsError(
                        f"--scheduler needs {error.name}, which is not installed.",
                        "Install it by: pip install omniview[cluster]",
                    ) from error
            return self._client

    async def _connect(self) -> Client:
        from distributed import Client

        logging.getLogger("distributed").setLevel(logging.ERROR)  # a worker's end is told by the rows
        self._cluster = await self._start()
        client = Client(self._cluster or self._scheduler, asynchronous=True, timeout=_REACH_S)
        try:
            await client
            await client.wait_for_workers(1, timeout=_START_S if self._scheduler == LOCAL else None)
            await _same_version(client)
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
        if self._scheduler == LOCAL:
            return await self._start_local()
        if self._scheduler in QUEUES:
            import dask_jobqueue

            cluster: SpecCluster = await getattr(dask_jobqueue, QUEUES[self._scheduler])(
                asynchronous=True, cores=self._places, processes=1
            )
            cluster.scale(jobs=self._jobs)
            return cluster
        return None

    async def _start_local(self) -> SpecCluster:
        """Workers on this machine, one a GPU where there are any; nobody else can connect to them."""
        from distributed import Nanny, Scheduler
        from distributed.deploy import SpecCluster

        here = {"host": "127.0.0.1", "dashboard_address": None}
        workers = {
            number: {
                "cls": Nanny,
                "options": {
                    **here,
                    "nthreads": self._places,
                    "silence_logs": logging.CRITICAL,
                    "env": {**_SAME_CODE, **self._device(number)},
                },
            }
            for number in range(self._jobs)
        }
        scheduler = {"cls": Scheduler, "options": {**here, "dashboard": False}}
        return await SpecCluster(
            workers, scheduler, asynchronous=True, silence_logs=logging.CRITICAL, name="omniview"
        )

    def _device(self, number: int) -> dict[str, str]:
        return {"CUDA_VISIBLE_DEVICES": str(number % self._gpus)} if self._gpus else {}


_SAME_CODE = MappingProxyType({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
"""For what is not ours to set otherwise: the workers share the cores."""


def _perform(work: Work, version: str) -> Done | str:
    """On a worker: its models are kept from case to case; a worker of another version says so instead.

    Workers may come at any time, long after those of the start were asked.
    """
    if version != omniview.__version__:
        return f"A worker that came later has OmniView {omniview.__version__}, this is {version}."
    from omniview.batch.station import perform

    return perform(work)


async def _same_version(client: Client) -> None:
    """Refuse workers of another version: their rows would not be those of this run.

    Raises:
        OmniViewError: a worker runs another version, or has no OmniView.
    """
    found: Mapping[str, Any] = await client.run(_version, on_error="return")
    for worker, version in found.items():
        if version != omniview.__version__:
            has = f"OmniView {version}" if isinstance(version, str) else f"no OmniView ({version})"
            raise OmniViewError(
                f"The worker {worker} has {has}, this is {omniview.__version__}.",
                "Install the same version on every worker.",
            )


def _version() -> str:
    return omniview.__version__


def _gpus() -> int:
    """How many NVIDIA GPUs this process may use."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([one for one in chosen.split(",") if one.strip() not in ("", "-1")])
    if (smi := shutil.which("nvidia-smi")) is None:
        return 0
    listed = subprocess.run([smi, "-L"], capture_output=True, text=True, check=False)  # noqa: S603
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
