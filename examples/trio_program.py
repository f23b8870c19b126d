"""A trio program. Its cancel scopes reach the runs that it waits for; what it submits ends with the Runtime.

It needs trio: pip install trio
"""

from __future__ import annotations

try:
    import trio
    import trio.lowlevel
except ImportError:
    raise SystemExit("This example needs trio: pip install trio") from None

from actwright import Flow, FlowRun, Runtime, State, flow, run_flow, task


async def release_lock(flow: Flow, flow_run: FlowRun, state: State) -> None:
    await trio.lowlevel.checkpoint()  # an async hook runs on the program's own loop
    print(f"{flow_run.name}: {state.name}, lock released")


@task
async def measure(sensor: str, seconds: float) -> str:
    await trio.sleep(seconds)
    return f"{sensor} measured"


@flow(flow_run_name="{sensor}", on_completion=[release_lock], on_cancellation=[release_lock])
async def watch(sensor: str, seconds: float = 0.0) -> str:
    return await measure(sensor, seconds)


async def main() -> None:
    async with Runtime() as runtime:
        background = runtime.submit(watch, "rain", 2)
        print(await run_flow(watch, "wind"))
        with trio.move_on_after(0.5) as scope:
            await run_flow(watch, "frost", 60)
        print(f"frost was cancelled: {scope.cancelled_caught}")
        print(await background)


if __name__ == "__main__":
    trio.run(main)
