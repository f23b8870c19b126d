"""A plain script: no event loop to be seen. Its flow runs in the main thread, submitted tasks in worker threads."""

from __future__ import annotations

import threading

from actwright import Flow, FlowRun, State, as_completed, flow, get_run_logger, task, wait


def report(flow: Flow, flow_run: FlowRun, state: State) -> None:
    print(f"{flow_run.name}: {state.name}")


@task(retries=2, retry_delay_seconds=0.05)
def fetch(page: int) -> list[int]:
    get_run_logger().info("fetching page %s", page)
    return list(range(page * 10, page * 10 + 3))


@task
def count(rows: list[int]) -> int:
    return len(rows)


@flow(flow_run_name="{pages} pages", on_running=[report], on_completion=[report])
def collect(pages: int) -> int:
    assert threading.current_thread() is threading.main_thread()
    fetched = fetch.map(range(pages))  # side by side
    counts = [count.submit(rows) for rows in fetched]  # each starts when its page is there
    wait(counts)
    return sum(handle.result() for handle in as_completed(counts))


if __name__ == "__main__":
    print(collect(4), "rows")
