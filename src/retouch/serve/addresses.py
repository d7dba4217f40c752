"""Which network addresses a server may call on a stranger's behalf: public ones, and no disguise of another.

The lists are written out, because what `ipaddress` calls global differs between versions of Python.
"""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NEVER_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host, which looks public and answers every virtual machine
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; a cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
"""All that is handed out. Outside it are loopback, unique local, link-local, multicast, mapped IPv4 and NAT64."""
_NEVER_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments; Teredo, which holds an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet, spelled as itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NEVER_V4)
    is_plain = address.scope_id is None and address in _PUBLIC_V6
    return is_plain and not any(address in network for network in _NEVER_V6)
