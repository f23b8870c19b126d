"""A flow that fails, and whose hook tells a Slack channel.

The channel is a block, which is saved once, by whoever sets this up:

    SlackWebhook(url="https://hooks.slack.com/services/...").save("my-slack-webhook")
"""

from __future__ import annotations

from typing import Any

from actwright import Block, Flow, FlowRun, State, flow
from actwright.settings import ACTWRIGHT_UI_URL


def notify_slack(flow: Flow, flow_run: FlowRun, state: State) -> None:
    slack_webhook_block: Any = Block.load("slack-webhook/my-slack-webhook")

    slack_webhook_block.notify(
        f"Your job {flow_run.name} entered {state.name} "
        f"with message:\n\n"
        f"See <{ACTWRIGHT_UI_URL.value()}/flow-runs/"
        f"flow-run/{flow_run.id}|the flow run in the UI>\n\n"
        f"Tags: {flow_run.tags}\n\n"
        f"Scheduled start: {flow_run.expected_start_time}"
    )


@flow(on_failure=[notify_slack], retries=1)
def failing_flow() -> None:
    raise ValueError("oops!")


if __name__ == "__main__":
    failing_flow()
