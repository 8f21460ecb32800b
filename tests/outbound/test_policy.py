"""Where the server may send to, by the text of a URL and by the addresses of a name."""

from ipaddress import ip_address, ip_network

import pytest

from steelyard.errors import OutboundRefused
from steelyard.outbound.networks import Reach, parse_address, reach_of
from steelyard.outbound.policy import OutboundPolicy, check_address, check_url

CLOSED = OutboundPolicy()

REFUSED = [
    # schemes, credentials, and what is no URL
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "//example.com/",
    "example.com",
    "http://",
    "https://user:pass@example.com/",
    "https://@example.com/",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://example.com\\@127.0.0.1/",
    "https://exam ple.com/",
    "https://example.com/\n",
    # this machine
    "http://localhost/",
    "http://LOCALHOST./",
    "http://api.localhost/",
    "http://127.0.0.1/",
    "http://127.255.255.254:8080/",
    "http://[::1]/",
    "http://[::]/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    # the same in other spellings
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7F.0.0.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://127.0.0.01/",
    "http://0x/",
    "http://1.2.3.4.5/",
    "http://256.1.1.1/",
    "http://\u0661\u0662\u0667.0.0.1/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u24db\u24de\u24d2al/",
    "http://127%2e0.0.1/",
    # private, shared and special networks
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.0.1/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    # IPv6, and IPv4 inside of it
    "http://[fd00::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[2001::1]/",
    "http://[100::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[127.0.0.1]/",
    "http://[v1.x]/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_refused_by_its_text(url: str) -> None:
    with pytest.raises(OutboundRefused):
        check_url(CLOSED, url)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.com", "example.com", 443),
        ("http://EXAMPLE.com./a?b#c", "example.com", 80),
        ("https://xn--bcher-kva.example:8443/x", "xn--bcher-kva.example", 8443),
        ("https://a_b.example.com/", "a_b.example.com", 443),
        ("https://8.8.8.8/", "8.8.8.8", 443),
        ("https://[2606:4700::1111]/", "2606:4700::1111", 443),
        ("https://[::ffff:8.8.8.8]/", "::ffff:8.8.8.8", 443),
        ("https://[64:ff9b::8.8.8.8]/", "64:ff9b::8.8.8.8", 443),
        ("https://172.32.0.1/", "172.32.0.1", 443),
        ("https://1.example/", "1.example", 443),
    ],
)
def test_what_is_allowed_by_its_text(url: str, host: str, port: int) -> None:
    target = check_url(CLOSED, url)
    assert (target.host, target.port) == (host, port)


def test_the_error_says_which_setting_decides_and_not_what_a_name_resolved_to() -> None:
    with pytest.raises(OutboundRefused) as caught:
        check_address(CLOSED, "hooks.example", ip_address("10.11.12.13"))
    assert "hooks.example" in caught.value.message
    assert "private" in caught.value.message
    assert "10.11" not in caught.value.message
    assert "outbound.allowed" in caught.value.message


@pytest.mark.parametrize(
    ("address", "special"),
    [
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("fd12::1", False),
        ("::1", False),
        ("100.64.1.1", False),
        ("169.254.169.254", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("fd00:ec2::254", True),
        ("fe80::1", True),
        ("224.0.0.1", True),
        ("0.0.0.0", True),
        ("::ffff:169.254.169.254", True),
    ],
)
def test_private_networks_can_be_opened_as_a_whole_and_special_ones_only_by_name(address: str, special: bool) -> None:
    for policy in (OutboundPolicy(allow_private=True), OutboundPolicy(allowed_hosts=frozenset({"h.example"}))):
        if special:
            with pytest.raises(OutboundRefused):
                check_address(policy, "h.example", ip_address(address))
        else:
            check_address(policy, "h.example", ip_address(address))
    opened = OutboundPolicy(allowed_networks=(ip_network(parse_address(address)),))
    check_address(opened, "h.example", ip_address(address))


def test_a_host_is_allowed_by_its_own_name_or_by_one_above() -> None:
    policy = OutboundPolicy(allowed_hosts=frozenset({"h.example", "*.inside.example"}))
    inside = ip_address("10.0.0.1")
    for host in ("h.example", "a.inside.example", "b.a.inside.example"):
        check_address(policy, host, inside)
    for host in ("example", "x.h.example", "inside.example", "evilinside.example"):
        with pytest.raises(OutboundRefused):
            check_address(policy, host, inside)


def test_schemes_can_be_narrowed() -> None:
    policy = OutboundPolicy(schemes=frozenset({"https"}))
    check_url(policy, "https://example.com/")
    with pytest.raises(OutboundRefused, match=r"must be https .setting outbound\.schemes"):
        check_url(policy, "http://example.com/")


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("1.1.1.1", Reach.PUBLIC),
        ("2001:4860:4860::8888", Reach.PUBLIC),
        ("64:ff9b::101:101", Reach.PUBLIC),
        ("2002:101:101::1", Reach.PUBLIC),
        ("64:ff9b::a00:1", Reach.PRIVATE),
        ("4000::1", Reach.SPECIAL),
        ("5f00::1", Reach.SPECIAL),
    ],
)
def test_who_is_reached(address: str, reach: Reach) -> None:
    assert reach_of(ip_address(address)) is reach
