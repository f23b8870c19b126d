"""Prefect's fastest documented settings for a local server, and its home, which is the first argument of the program.

Prefect reads them when it is imported: this goes before. With PREFECT_SERVER_EPHEMERAL_ENABLED the client starts the
server, on 127.0.0.1, and stops it at exit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import certifi

HOME = Path(sys.argv[1])
CERTIFICATE = HOME / "certificate.pem"
# All are of https://docs.prefect.io/v3/api-ref/settings-ref.
SETTINGS = {
    "PREFECT_HOME": str(HOME),
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "150",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Logs would go to the terminal and, each batch a request, to the server.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    # A client is made for each submitted task and each flow run, and each loads the trusted certificates, which takes
    # most of the time: 98 ms for certifi's, 1.4 ms for one. None is needed for http://127.0.0.1.
    "PREFECT_API_SSL_CERT_FILE": str(CERTIFICATE),
    # The server writes task runs that it hears of one by one; in batches, and what is left each second, is faster.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}
os.environ |= SETTINGS
BUNDLE = Path(certifi.where()).read_text(encoding="utf-8")
CERTIFICATE.write_text("".join(BUNDLE.partition("-----END CERTIFICATE-----")[:2]) + "\n", encoding="utf-8")
