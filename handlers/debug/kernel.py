"""The kernel behind the API."""

from nexus.handlers.api_errors import READING
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext, NoArguments, Outcome
from nexus.schemas.errors import OutcomeUnknown
from nexus.schemas.kernel import KernelMetrics, KernelStatus, KernelStopping, StopRequest


class ShowKernelStatus(CommandHandler[NoArguments, KernelStatus]):
    """Tell what the kernel is: pid, version, uptime, socket, memory, and what is live in it."""

    path = ("debug", "kernel", "status")
    result = KernelStatus
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus debug kernel status", shows="The kernel that answers you"),
        Example(line="nexus debug kernel status --query mode", shows="Whether it stays after the command (resident)"),
    )

    async def execute(self, context: ExecutionContext[NoArguments]) -> KernelStatus:
        return await context.api.get("/api/debug/kernel", KernelStatus)


class ShowKernelMetrics(CommandHandler[NoArguments, KernelMetrics]):
    """Count the requests since the kernel's start, and tell its sizes now."""

    path = ("debug", "kernel", "metrics")
    result = KernelMetrics
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (Example(line="nexus debug kernel metrics", shows="Counters and sizes"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> KernelMetrics:
        return await context.api.get("/api/debug/kernel/metrics", KernelMetrics)


class StopKernel(CommandHandler[NoArguments, KernelStopping]):
    """Stop the kernel once it has finished what is under way; the next command starts it again."""

    path = ("debug", "kernel", "stop")
    result = KernelStopping
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*READING, OutcomeUnknown)
    examples = (Example(line="nexus debug kernel stop", shows="Stop it"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> Outcome[KernelStopping]:
        stopping = await context.api.post("/api/debug/kernel/stop", KernelStopping, body=StopRequest(restart=False))
        return Outcome(stopping, message=f"The kernel (pid {stopping.pid}) finishes what is under way, then stops.")


class RestartKernel(CommandHandler[NoArguments, KernelStopping]):
    """Stop the kernel once it has finished what is under way, and have a new one take its place."""

    path = ("debug", "kernel", "restart")
    result = KernelStopping
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*READING, OutcomeUnknown)
    examples = (Example(line="nexus debug kernel restart", shows="Start it anew"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> Outcome[KernelStopping]:
        stopping = await context.api.post("/api/debug/kernel/stop", KernelStopping, body=StopRequest(restart=True))
        return Outcome(stopping, message=f"The kernel (pid {stopping.pid}) finishes what is under way, then restarts.")
