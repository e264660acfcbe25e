from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from maestro.testing.model_server import ModelServer

Body = dict[str, Any]


def ask(
    server: ModelServer | str, body: Body, path: str = "/v1/messages?beta=true", key: str = "k"
) -> tuple[int, bytes]:
    url = server if isinstance(server, str) else server.url
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"x-api-key": key})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def message(steps: object, answers: int = 0, *, user_id: str = "u", stream: bool = False) -> Body:
    prompt = f"do\n```maestro-script\n{json.dumps(steps)}\n```\nthen"
    messages: list[Body] = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    for _ in range(answers):
        messages.append({"role": "assistant", "content": [{"type": "text", "text": "x"}]})
        messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]})
    return {"model": "m", "messages": messages, "metadata": {"user_id": user_id}, "stream": stream,
            "system": [{"type": "text", "text": " - Primary working directory: /home/me/a b\n"}]}  # fmt: skip


def content(answer: tuple[int, bytes]) -> list[Body]:
    assert answer[0] == 200, answer
    blocks: list[Body] = json.loads(answer[1])["content"]
    return blocks


STEPS = [{"write": {"path": "a.txt", "content": "x"}}, {"bash": "git commit"}, {"say": "bye"}]


def test_the_step_is_the_number_of_answers_given() -> None:
    with ModelServer() as server:
        (write,) = content(ask(server, message(STEPS)))
        assert (write["name"], write["input"]) == ("Write", {"file_path": "/home/me/a b/a.txt", "content": "x"})
        (bash,) = content(ask(server, message(STEPS, 1)))
        assert (bash["name"], bash["input"]["command"]) == ("Bash", "git commit")
        for answers in (2, 3):
            (said,) = content(ask(server, message(STEPS, answers)))
            assert said["text"] == {2: "bye", 3: "done"}[answers]
        assert [one.status for one in server.requests] == [200] * 4
        assert {one.api_key for one in server.requests} == {"k"}


def test_several_tools_in_one_answer_and_any_tool() -> None:
    steps = [{"tools": [{"bash": "a"}, {"tool": {"name": "Skill", "input": {"skill": "s"}}}]}]
    with ModelServer() as server:
        assert [block["name"] for block in content(ask(server, message(steps)))] == ["Bash", "Skill"]


def test_the_stream_says_the_same_as_the_whole() -> None:
    with ModelServer() as server:
        status, raw = ask(server, message(STEPS, stream=True))
    events = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: ")]
    assert status == 200
    kinds = [event["type"].removeprefix("content_block_").removeprefix("message_") for event in events]
    assert kinds == ["start", "start", "delta", "stop", "delta", "stop"]
    assert json.loads(events[2]["delta"]["partial_json"])["content"] == "x"
    assert events[4]["delta"]["stop_reason"] == "tool_use"


def test_refusals_are_counted_for_each_conversation() -> None:
    steps = [
        {"status": 429, "retry_after": 7, "times": 2, "headers": {"x-odd": "1"}},
        {"status": 529},
        {"say": "at last"},
    ]
    with ModelServer() as server:
        for user in ("one", "two"):
            got = [ask(server, message(steps, user_id=user)) for _ in range(4)]
            assert [status for status, _ in got] == [429, 429, 529, 200]
            assert json.loads(got[0][1])["error"]["type"] == "rate_limit_error"
        request = urllib.request.Request(server.url + "/v1/messages", json.dumps(message(steps, user_id="3")).encode())
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        assert (caught.value.headers["retry-after"], caught.value.headers["x-odd"]) == ("7", "1")
        caught.value.close()
        always = message([{"status": 500, "times": 0}], user_id="4")
        assert [ask(server, always)[0] for _ in range(3)] == [500] * 3


def test_a_conversation_stays_the_same_when_its_device_gets_another_id() -> None:
    """As that of a claude does which another one that began at the same time in the same HOME overwrites."""
    steps = [{"status": 429}, {"say": "at last"}]
    users = [json.dumps({"device_id": device, "session_id": session}) for session in "st" for device in "abc"]
    with ModelServer() as server:
        got = [ask(server, message(steps, user_id=user))[0] for user in users]
    assert got == [429, 200, 200] * 2


def test_faults_at_the_end_come_before_the_closing_word() -> None:
    steps = [{"bash": "a"}, {"status": 500}]
    with ModelServer() as server:
        assert [ask(server, message(steps, 1))[0] for _ in range(2)] == [500, 200]


def test_a_broken_connection_and_one_that_is_never_answered() -> None:
    with ModelServer() as server:
        with pytest.raises(OSError):  # reset, or an incomplete read
            _read_whole(server, message([{"drop": True}, {"say": "x"}], stream=True))
        (said,) = content(ask(server, message([{"drop": True}, {"say": "x"}])))
        assert said["text"] == "x"
        request = urllib.request.Request(server.url + "/v1/messages", json.dumps(message([{"hang": True}])).encode())
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(request, timeout=0.2)


def _read_whole(server: ModelServer, body: Body) -> None:
    import http.client

    request = urllib.request.Request(server.url + "/v1/messages", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            response.read()
    except http.client.IncompleteRead as error:
        raise OSError("incomplete") from error


def test_closing_does_not_wait_for_who_hangs_or_sleeps() -> None:
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with ModelServer() as server:
            left = [pool.submit(ask, server, message([step])) for step in ({"hang": True}, {"sleep": 60})]
            while len(server.requests) < 1:
                time.sleep(0.005)
        for one in left:
            one.exception()
    assert time.monotonic() - began < 20


def test_a_prompt_without_a_script_has_the_default() -> None:
    def default(prompt: str, body: Body) -> list[Body]:
        return [{"say": f"you said {prompt}"}]

    body: Body = {"messages": [{"role": "user", "content": "hi"}]}
    with ModelServer(default=default) as server:
        assert content(ask(server, body))[0]["text"] == "you said hi"
    with ModelServer() as server:
        assert content(ask(server, body))[0]["text"] == "done"


def test_the_newest_script_decides() -> None:
    body = message(STEPS, 2)
    body["messages"] += message([{"say": "second"}])["messages"]
    with ModelServer() as server:
        assert content(ask(server, body))[0]["text"] == "second"
        body["messages"].append({"role": "user", "content": "go on"})
        assert content(ask(server, body))[0]["text"] == "second"


@pytest.mark.parametrize("steps", [{"say": "x"}, [{"sy": "x"}], ["say"]])
def test_a_script_that_cannot_be_read_is_refused_with_its_reason(steps: object) -> None:
    with ModelServer() as server:
        status, raw = ask(server, message(steps))
        assert status == 400
        assert "maestro-script" in json.loads(raw)["error"]["message"]


def test_other_doors() -> None:
    with ModelServer(accepted_keys=("good",)) as server:
        assert ask(server, message(STEPS), key="bad")[0] == 401
        assert ask(server, message(STEPS), key="good")[0] == 200
        assert json.loads(ask(server, {"messages": []}, "/v1/messages/count_tokens")[1])["input_tokens"] > 0
        assert ask(server, {}, "/v2/other")[0] == 404
        with urllib.request.urlopen(urllib.request.Request(server.url, method="HEAD"), timeout=10) as response:
            assert response.status == 200


def test_forty_clients_at_once() -> None:
    with ModelServer() as server, concurrent.futures.ThreadPoolExecutor(40) as pool:
        bodies = [message([{"sleep": 0.05}, {"say": str(n)}], user_id=str(n)) for n in range(40)]
        answers = list(pool.map(lambda body: content(ask(server, body))[0]["text"], bodies))
        assert answers == [str(n) for n in range(40)]


def test_it_serves_from_a_shell() -> None:
    with subprocess.Popen([sys.executable, "-m", "maestro.testing.model_server"], stdout=subprocess.PIPE) as popen:
        try:
            assert popen.stdout
            url = popen.stdout.readline().decode().strip()
            assert ask(url, message([{"say": "hello"}]))[0] == 200
        finally:
            popen.send_signal(2)
        assert popen.wait(20) == 0
