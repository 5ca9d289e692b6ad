"""ADK's own API server for the agent in adk/, with sessions in memory."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from google.adk.cli.fast_api import get_fast_api_app

app = get_fast_api_app(
    agents_dir=str(Path(__file__).with_name("adk")),
    session_service_uri="memory://",
    artifact_service_uri="memory://",
    web=False,
)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
