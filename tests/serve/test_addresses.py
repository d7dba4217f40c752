"""Only addresses of the public internet may be called, however another one is spelled."""

import ipaddress

import pytest

from retouch.serve.addresses import is_public

FORBIDDEN = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1"),
    *(
        "127.255.0.9",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
    ),
    *("192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1"),
    *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1"),
    *("2001:0:7f00:1::", "2001:10::1"),
    *("2001:db8::1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
]
PUBLIC = [
    *(
        "1.1.1.1",
        "8.8.8.8",
        "172.15.0.1",
        "172.32.0.1",
        "100.63.0.1",
        "168.63.129.17",
        "192.0.1.1",
        "223.255.255.254",
    ),
    *("2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450:4001::1"),
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_addresses_of_this_machine_its_network_and_its_cloud_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_nothing_that_python_knows_to_be_special_is_public(network: str) -> None:
    whole = ipaddress.ip_network(network)
    step = whole.num_addresses // 4_999
    for number in range(4_999):
        address = whole[number * step]
        if is_public(address):
            assert address.is_global, address
            assert not address.is_multicast, address
