"""A hook may have further arguments, as long as they have defaults."""

from __future__ import annotations

from typing import Any

from actwright import Flow, FlowRun, State, flow

data: dict[str, Any] = {}


def my_hook(flow: Flow, flow_run: FlowRun, state: State, my_arg: str = "custom_value") -> None:
    data.update(my_arg=my_arg, state=state)


@flow(on_completion=[my_hook])
def lazy_flow() -> None:
    pass


if __name__ == "__main__":
    state = lazy_flow(return_state=True)

    assert data == {"my_arg": "custom_value", "state": state}
    print(data["my_arg"], data["state"].name)
