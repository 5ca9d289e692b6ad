"""`agent-profiler init`: what is asked, sent, written and refused. The agents are small servers."""

from __future__ import annotations

import io
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from profiler.cli import app as cli
from profiler.cli import init_asking
from profiler.workload.load import load_workload

CHAT = "/v1/chat/completions"
CHAT_REPLY = {
    "choices": [{"message": {"role": "assistant", "content": "Hi \x1b[31mthere"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}
SECRET = "hunter2-of-the-environment"


class FakeAgent:
    """Answers by path; `posts` are what was posted, `gets` what was asked."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.gets, self.posts = {}, {}
        self.asked, self.posted = [], []


@pytest.fixture
def agent():
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, known):
            status, body, *more = known
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", more[0] if more else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            fake.asked.append((self.path, dict(self.headers)))
            self.answer(fake.gets.get(self.path, (404, {})))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            fake.posted.append((self.path, json.loads(body), dict(self.headers)))
            self.answer(fake.posts.get(self.path, (404, {})))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = FakeAgent(server.server_port)
    fake.posts[CHAT] = (200, CHAT_REPLY)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def init(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENT_TOKEN", raising=False)

    def run(*options, typed=None):
        """Run `init`; with `typed`, on a terminal at which this is typed."""
        monkeypatch.setattr(init_asking, "is_terminal", lambda: typed is not None)
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed or ""))
        monkeypatch.setattr(sys, "argv", ["agent-profiler", "init", *map(str, options)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def nothing_written(tmp_path):
    return not any(path.suffix == ".yaml" for path in tmp_path.rglob("*"))


def test_one_message_is_sent_and_a_workload_is_written_that_loads(init, agent, tmp_path):
    code, out, err = init("--url", agent.url + CHAT)
    assert (code, err) == (0, "")
    assert [(path, body["messages"]) for path, body, _ in agent.posted] == [
        (CHAT, [{"role": "user", "content": "Hello"}])
    ]
    workload = load_workload(tmp_path / "scenarios/mine.yaml")
    assert (workload.name, workload.target.url) == ("mine", agent.url + CHAT)
    assert "  tokens       7 input, 2 output" in out
    assert "  LLM calls    not observed" in out
    assert "docs/observers.md" in out
    assert '"Hi [31mthere"' in out  # and nothing that a terminal obeys
    assert "run it: agent-profiler run scenarios/mine.yaml" in out


def test_an_agent_is_recognised_by_its_openapi_document_and_described(init, agent, tmp_path):
    field = {"type": "string"}
    schema = {"properties": {"query": field, "tenant": field}, "required": ["query", "tenant"]}
    body = {"content": {"application/json": {"schema": schema}}}
    agent.gets["/openapi.json"] = (200, {"paths": {"/ask": {"post": {"requestBody": body}}}})
    agent.posts["/ask"] = (200, {"answer": "Hi", "conversation_id": "c-1"})
    code, out, _ = init("--url", agent.url, "-o", "a.yaml")
    assert code == 0
    assert [(path, body) for path, body, _ in agent.posted] == [
        ("/ask", {"query": "Hello", "tenant": ""})
    ]
    template = load_workload(tmp_path / "a.yaml").target.http_json
    assert template.body == {"query": "{{ user }}", "tenant": ""}
    assert (template.reply, template.session_id) == ("answer", "conversation_id")
    assert "to fill in: target.http_json.body.tenant" in out
    assert "guessed, to check: target.http_json.reply" in out
    assert "FILL IN" in (tmp_path / "a.yaml").read_text()


def test_an_answer_that_is_not_understood_is_to_be_filled_in(init, agent, tmp_path):
    agent.posts["/x"] = (200, b"<p>Hi</p>", "text/html")
    code, out, _ = init("--url", f"{agent.url}/x", "--protocol", "http-json")
    assert code == 0
    assert len(agent.posted) == 1
    assert 'no reply is to be recognised in the answer: "<p>Hi</p>"' in out
    assert "to fill in: target.http_json.reply" in out
    assert load_workload(tmp_path / "scenarios/mine.yaml").target.http_json.reply == "reply"


def test_an_own_stream_is_read_by_rules_that_are_guessed(init, agent, tmp_path):
    stream = b'data: {"token": "H"}\n\ndata: {"token": "i"}\n\ndata: [DONE]\n\n'
    agent.posts["/x"] = (200, stream, "text/event-stream; charset=utf-8")
    code, out, _ = init("--url", f"{agent.url}/x", "--protocol", "http-json")
    assert code == 0
    assert len(agent.posted) == 1
    assert '"Hi"' in out
    assert "first token  after" in out
    assert load_workload(tmp_path / "scenarios/mine.yaml").target.http_json.events is not None


def test_header_secrets_are_sent_and_not_written(init, agent, tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_TOKEN", SECRET)
    agent.posts[CHAT] = (200, {"choices": [{"message": {"content": f"your key is {SECRET}"}}]})
    header = "Authorization: Bearer ${AGENT_TOKEN}"
    code, out, err = init("--url", agent.url + CHAT, "--header", header)
    assert code == 0
    assert agent.posted[0][2]["authorization"] == f"Bearer {SECRET}"
    assert all(headers["authorization"] == f"Bearer {SECRET}" for _, headers in agent.asked)
    written = (tmp_path / "scenarios/mine.yaml").read_text()
    assert "${AGENT_TOKEN}" in written
    assert SECRET not in written + out + err


def test_a_literal_secret_and_an_unset_variable_are_refused(init, agent, tmp_path):
    code, _, err = init("--url", agent.url, "--header", f"Authorization: Bearer {SECRET}")
    assert (code, err.count("\n")) == (2, 1)
    assert "${AGENT_TOKEN}" in err
    assert SECRET not in err
    code, _, err = init("--url", agent.url, "--header", "Authorization: Bearer ${AGENT_TOKEN}")
    assert (code, err.count("\n")) == (2, 1)
    assert "AGENT_TOKEN is not set" in err
    assert agent.posted == agent.asked == []
    assert nothing_written(tmp_path)


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_not_let_in_is_told_of_header(init, agent, tmp_path, status):
    agent.posts[CHAT] = (status, {"error": {"message": "no key"}})
    code, _, err = init("--url", agent.url + CHAT)
    assert (code, err.count("\n")) == (5, 1)
    assert "--header 'Authorization: Bearer ${AGENT_TOKEN}'" in err
    assert f"({status})" in err
    assert nothing_written(tmp_path)


def test_a_server_that_lets_nobody_ask_is_no_unknown_protocol(init, agent, tmp_path):
    class Always(dict):
        def get(self, *_):
            return 401, {}

    agent.gets = Always()
    code, _, err = init("--url", agent.url)
    assert code == 5
    assert "--header" in err
    assert agent.posted == []
    assert nothing_written(tmp_path)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, {"detail": "Not Found"}), "nothing takes a message there (404)"),
        ((422, {"detail": "x"}), "does not take such a request (422)"),
        ((429, {}), "rate limited (429)"),
        ((500, {}), "the agent failed (500)"),
        ((307, {}), "redirects (307)"),
        ((200, {"hello": 1}), "not what openai-chat says"),
        ((200, b"<html>", "text/html"), "not what openai-chat says"),
    ],
)
def test_a_probe_that_fails_writes_nothing_and_says_what_to_do(init, agent, tmp_path, answer, said):
    agent.posts[CHAT] = answer
    code, _, err = init("--url", agent.url + CHAT)
    assert (code, err.count("\n")) == (5, 1)
    assert said in err
    assert "--no-probe" in err
    assert len(agent.posted) == 1  # nothing is tried again
    assert nothing_written(tmp_path)


def test_nobody_there_is_one_line(init, tmp_path, agent):
    code, _, err = init("--url", "http://127.0.0.1:9/v1/chat/completions")
    assert (code, err.count("\n")) == (5, 1)
    assert "no connection to the agent" in err
    assert nothing_written(tmp_path)


def test_without_a_probe_nothing_is_sent(init, agent, tmp_path):
    code, out, _ = init(
        "--url", agent.url, "--protocol", "http-json", "--no-probe",
        "--header", "Authorization: Bearer ${NOT_SET}",
    )  # fmt: skip
    assert code == 0
    assert agent.asked == agent.posted == []
    assert "to fill in: target.http_json.body.message" in out
    environ = {"NOT_SET": "x"}
    assert load_workload(tmp_path / "scenarios/mine.yaml", environ=environ).target.url == agent.url


@pytest.mark.parametrize("path", ["/x", ""])
def test_an_answer_that_is_nested_deeply_is_no_internal_error(init, agent, tmp_path, path):
    deep = b'{"paths":' * 900 + b"1" + b"}" * 900
    agent.gets["/openapi.json"] = agent.posts[path or "/"] = (200, deep)
    code, _, err = init("--url", agent.url + path, "--protocol", "http-json")
    assert code in {0, 5}
    assert "internal" not in err


def test_what_is_not_recognised_is_asked_for_in_one_line(init, agent, tmp_path):
    code, _, err = init("--url", f"{agent.url}/chat")
    assert (code, err.count("\n")) == (2, 1)
    assert "Give --protocol" in err
    assert agent.posted == []
    assert nothing_written(tmp_path)


def test_a_protocol_that_is_named_goes_before_a_mere_hint(init, agent, tmp_path):
    stream = (
        b'data: {"type": "start"}\n\ndata: {"type": "text-delta", "id": "1", "delta": "Hi"}\n\n'
    )
    stream += b'data: {"type": "finish"}\n\ndata: [DONE]\n\n'
    agent.posts["/api/chat"] = (200, stream, "text/event-stream")
    url = f"{agent.url}/api/chat"
    code, _, err = init("--url", url)
    assert (code, "perhaps vercel-ai" in err) == (2, True)
    assert init("--url", url, "--protocol", "vercel-ai")[0] == 0
    assert load_workload(tmp_path / "scenarios/mine.yaml").target.url == url


def test_several_models_are_named_and_one_is_taken(init, agent, tmp_path):
    agent.gets["/v1/models"] = (200, {"data": [{"id": "m1"}, {"id": "m2"}]})
    code, _, err = init("--url", agent.url)
    assert (code, "m1, m2" in err, "--model" in err) == (2, True, True)
    agent.gets["/v1/models"] = (200, {"data": [{"id": "m1"}]})
    assert init("--url", agent.url)[0] == 0
    assert load_workload(tmp_path / "scenarios/mine.yaml").target.model == "m1"
    assert agent.posted[0][1]["model"] == "m1"


def test_a_card_that_names_another_server_is_not_followed(init, agent, tmp_path):
    card = {"url": "https://elsewhere.example/a2a", "protocolVersion": "0.3"}
    agent.gets["/.well-known/agent-card.json"] = (200, card)
    code, _, err = init("--url", agent.url)
    assert (code, err.count("\n")) == (2, 1)
    assert "--url https://elsewhere.example/a2a" in err
    assert agent.posted == []


def test_a_workload_is_overwritten_only_by_force(init, agent, tmp_path):
    (tmp_path / "a.yaml").write_text("mine")
    code, _, err = init("--url", agent.url + CHAT, "-o", "a.yaml")
    assert (code, "--force" in err) == (2, True)
    assert agent.posted == agent.asked == []
    assert (tmp_path / "a.yaml").read_text() == "mine"
    assert init("--url", agent.url + CHAT, "-o", "a.yaml", "--force")[0] == 0
    assert load_workload(tmp_path / "a.yaml").name == "a"


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ((), "--url"),
        (("--yes",), "--url"),
        (("--url", "nonsense"), "--url"),
        (("--url", "http://"), "--url"),
        (("--url", "http://a:b/"), "--url"),
        (("--url", "http://u:hunter2@a/"), "--url"),
        (("--url", "http://a", "--protocol", "openai"), "--protocol"),
        (("--url", "http://a", "--message", "{{ x }}"), "--message"),
        (("--url", "http://a", "-o", "x.txt"), "--out"),
        (("--url", "http://a", "--header", "x"), "--header"),
    ],
)
def test_wrong_usage_is_one_line(init, tmp_path, options, where):
    code, _, err = init(*options)
    assert (code, err.count("\n")) == (2, 1)
    assert where in err
    assert nothing_written(tmp_path)


def test_on_a_terminal_it_asks_for_what_is_missing(init, agent, tmp_path):
    typed = f"nonsense\n{agent.url}{CHAT}\ny\n"
    code, _, err = init(typed=typed)
    assert code == 0
    assert "The agent's URL" in err
    assert "the URL has no scheme" in err  # asked again
    assert len(agent.posted) == 1
    assert load_workload(tmp_path / "scenarios/mine.yaml").target.url == agent.url + CHAT


def test_on_a_terminal_protocol_and_model_are_chosen(init, agent, tmp_path):
    agent.posts["/x"] = (200, {"reply": "Hi"})
    code, _, err = init("--url", f"{agent.url}/x", typed="99\nhttp-json\n\n")
    assert code == 0
    assert "A number from 1 to 9" in err
    agent.gets["/v1/models"] = (200, {"data": [{"id": "m1"}, {"id": "m2"}]})
    assert init("--url", agent.url, "--force", typed="2\ny\n")[0] == 0
    assert load_workload(tmp_path / "scenarios/mine.yaml").target.model == "m2"


@pytest.mark.parametrize("typed", ["", "{url}\n", "{url}\nn\n"])
def test_whoever_stops_answering_has_sent_and_written_nothing(init, agent, tmp_path, typed):
    code, _, err = init(typed=typed.format(url=agent.url + CHAT))
    assert code == 130
    assert "Traceback" not in err
    assert agent.posted == []
    assert nothing_written(tmp_path)


def test_yes_asks_nothing(init, agent, tmp_path):
    assert init("--url", agent.url + CHAT, "--yes", typed="")[0] == 0
    assert len(agent.posted) == 1
