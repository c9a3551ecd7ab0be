# SPDX-License-Identifier: Apache-2.0
"""Where calls may go: every form of a private address is seen for what it is, before and after a name is resolved."""

import socket

import pytest

from apps.core import http, net

PRIVATE = [
    "127.0.0.1", "127.1", "127.255.255.254", "0.0.0.0", "0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0x7f.0.0.1", "10.1", "0xa9fea9fe", "2852039166",
    "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1",
    "ff02::1", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:db8::1",
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1.",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "172.32.0.1",
    "2606:4700:4700::1111",
    "64:ff9b::808:808",
    "2002:808:808::1",
    "example.com",
    "127.example.com",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_refused_in_every_form(host: str) -> None:
    url = f"http://[{host}]/v1" if ":" in host else f"http://{host}/v1"

    assert net.literal_refused(host)
    with pytest.raises(net.AddressRefused):
        net.check_url(url)


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_one_is_not(host: str) -> None:
    assert not net.literal_refused(host)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com",
        "file:///etc/passwd",
        "//example.com",
        "http://",
        "http://user:secret@example.com",
        "http://user@example.com",
        "https://example.com/#x",
        "http://example.com:99999",
        "http://[::1",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_of_a_provider_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(net.AddressRefused) as refused:
        net.check_url(url)

    assert "secret" not in str(refused.value)


def test_an_operator_may_allow_a_network() -> None:
    assert net.is_allowed("10.1.2.3", ["10.0.0.0/8"])
    assert not net.is_allowed("10.1.2.3", ["10.2.0.0/16"])
    assert net.is_allowed("::ffff:10.1.2.3", ["10.0.0.0/8"])
    net.check_url("http://localhost:8000/v1", ["127.0.0.0/8"])


def test_a_name_is_judged_by_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(host: str, port: int, **_: object) -> list[object]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("93.184.216.34", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", two)

    with pytest.raises(net.AddressRefused):
        net.resolve_public("rebind.example", 443)


@pytest.mark.parametrize("name", http.NAMES)
async def test_a_client_refuses_a_name_that_leads_inside(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def inside(host: str, port: int, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", inside)
    client = http.client(name)

    with pytest.raises(http.CallError) as refused:
        await client.send(http.Call("http://inside.example:9/v1", (), b"{}", 5, 5, 5))

    assert refused.value.kind == "refused"
    await client.close()
