"""Unmatched requests that contain a secret under every name of the table, in every part of a request."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import httpx

from tests.secret_name_table import QUERY_SECRETS, SECRETS
from tests.serve.conftest import Desktop

SECRET = "s3cret"
IN_JSON = SECRETS.split()
IN_QUERIES = [*IN_JSON, *QUERY_SECRETS.split()]
IN_HEADERS = [*dict.fromkeys(f"X-{name.replace('_', '-')}".lower() for name in IN_JSON)]

SCENARIO = f"""\
cometreel: 1
bayeux: {{endpoint: /api/v2/notifications}}
exchanges:
  - name: lists every secret
    request:
      method: POST
      path: /login
      query: {{{", ".join(f"{name}: other" for name in dict.fromkeys(IN_QUERIES))}}}
      headers: {{{", ".join(f"{name}: other" for name in IN_HEADERS)}}}
      body: {{{", ".join(f"{name}: other" for name in dict.fromkeys(IN_JSON))}, link: other, list: [other]}}
  - name: compares the whole
    request: {{method: PUT, path: /login, query: {{$any: object}}, body: {{all: other, text: other}}}}
  - name: a list of fields
    request: {{method: PUT, path: /login, body: {{list: [{{name: pwd, value: other}}, {{name: otp}}]}}}}
  - name: a service
    request: {{publish: /service/login, data: {{all: other}}}}
"""


def send_secrets(app: httpx.Client) -> int:
    """Send the requests, and return how many calls they are."""
    query = {name: f"{SECRET}-{number}" for number, name in enumerate(IN_QUERIES)}
    body = {name: f"{SECRET}-{number}" for number, name in enumerate(IN_JSON)}
    headers = {name: f"{SECRET}-{number}" for number, name in enumerate(IN_HEADERS)}
    packed, link = json.dumps(body), f"https://gws.example/login?{urlencode(query)}"
    whole = {"all": body, "packed": packed, "link": link, "list": [body, packed, f" {packed}\n", link]}
    replies = [
        app.post("/login", params=query, headers=headers, json={**body, "link": link, "list": [packed]}),
        app.put("/login", params=query, json=whole),
        app.post("/login", data=query),
        app.put("/login", json={"text": f"\n {json.dumps({'packed': packed}, indent=1)} "}),
        app.put("/login", json={"list": [{"name": "pwd", "value": SECRET}, {"name": "otp", "value": SECRET}]}),
        app.post(f"/token/{SECRET}9", json={"text": f"the password: {SECRET}"}),
        app.post("/login", content=packed[:-1], headers={"Content-Type": "application/json"}),
        app.post("/login", content=json.dumps(whole)[:-1]),
        app.post(f"/login;jsessionid={SECRET}?x=1", content=repr(body)),
        app.post(f"/login;pwd={SECRET};n=1/otp={SECRET}", files={"pwd": (None, SECRET)}),
        app.post("/login", data={"message": packed, "next": link, "user[pin]": SECRET}),
        app.post("/login", content=f"n=\xe9&otp={SECRET}".encode("latin-1")),
        app.post("/login", params={"message": packed, "next": f"/a?{urlencode({'next': link})}"}),
    ]
    assert [reply.status_code for reply in replies] == [404, 404, 404, 404, 404, 404, 400, 404, 404, 404, 404, 404, 404]
    assert not any(SECRET in reply.text for reply in replies)
    Desktop(app).handshakes().bayeux(channel="/service/login", data=whole)
    return len(replies) + 1
