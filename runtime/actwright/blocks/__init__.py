"""Blocks: typed documents that are kept by name, their secrets encrypted.

from actwright.blocks import SlackWebhook

SlackWebhook(url="https://hooks.slack.com/services/...").save("my-slack-webhook")
...
Block.load("slack-webhook/my-slack-webhook").notify("done")
"""

from __future__ import annotations

from actwright.blocks.apprise import AppriseNotification
from actwright.blocks.block import Block
from actwright.blocks.secret import Secret
from actwright.blocks.webhooks import SlackWebhook, Webhook

__all__ = ["AppriseNotification", "Block", "Secret", "SlackWebhook", "Webhook"]
