"""A mail server that says what it took: one JSON object a line, first its port.

usage: sink.py [--starttls CERT KEY | --tls CERT KEY] [--user NAME PASSWORD] [--fail CODE COUNT]
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Sink:
    def __init__(self, fail):
        self.code, self.left = fail

    async def handle_DATA(self, server, session, envelope):
        if self.left > 0:
            self.left -= 1
            say({"refused": self.code})
            return f"{self.code} not now, says the sink"
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "text": envelope.content.decode("utf-8", "replace"),
                "is_encrypted": session.ssl is not None or MODE == "--tls",
                "user": session.auth_data.login.decode() if session.auth_data else "",
            }
        )
        return "250 taken, says the sink"


def say(what):
    print(json.dumps(what), flush=True)


MODE, SETTINGS, FAIL, CREDENTIALS, CONTEXT = "", {}, (0, 0), None, None
words = sys.argv[1:]
while words:
    word = words.pop(0)
    if word in ("--starttls", "--tls"):
        MODE = word
        CONTEXT = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        CONTEXT.load_cert_chain(words.pop(0), words.pop(0))
    elif word == "--user":
        CREDENTIALS = (words.pop(0), words.pop(0))
    elif word == "--fail":
        FAIL = (int(words.pop(0)), int(words.pop(0)))


def authenticate(server, session, envelope, mechanism, data):
    given = (data.login.decode(), data.password.decode())
    return AuthResult(success=given == CREDENTIALS, handled=False, auth_data=data)


if CREDENTIALS:
    SETTINGS.update(authenticator=authenticate, auth_required=True, auth_require_tls=MODE == "--starttls")


def protocol():
    tls = {"tls_context": CONTEXT, "require_starttls": True} if MODE == "--starttls" else {}
    return SMTP(SINK, enable_SMTPUTF8=True, loop=asyncio.get_running_loop(), **tls, **SETTINGS)


async def serve():
    server = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", 0, ssl=CONTEXT if MODE == "--tls" else None
    )
    say({"port": server.sockets[0].getsockname()[1]})
    # Until whoever started it lets go.
    await asyncio.to_thread(sys.stdin.read)


SINK = Sink(FAIL)
asyncio.run(serve())
