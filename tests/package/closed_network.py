"""Run a command in a network that ends at this machine, and say what it tried to send beyond.

unshare -rn python closed_network.py COMMAND …

Every address there is, is routed to the loopback device, which has nobody to answer: whatever a
program sends, native code included, comes by there, is seen, and is refused at once. Prints JSON:
`tried`, names asked for and places that were called; `unseen`, packets that went by unread;
`code`, the command's exit status.
"""

import json
import socket
import struct
import subprocess
import sys
import threading
from ipaddress import ip_address

ROUTES = (
    "link set lo up",
    "route add local 0.0.0.0/0 dev lo",
    "-6 route add local ::/0 dev lo",
)
ALL_PROTOCOLS, IPV4, IPV6, TCP, UDP, DNS = 3, 0x0800, 0x86DD, 6, 17, 53
SYN, ACK = 2, 16
# names of Linux that the socket module does not have
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33
ETHERNET, HEAD = 14, 400  # bytes


def close_network() -> None:
    """The loopback device alone, and every address on it. `SystemExit` if it may not be done."""
    for route in ROUTES:
        done = subprocess.run(["ip", *route.split()], capture_output=True, text=True)
        if done.returncode and "-6" not in route:  # a machine may be without IPv6
            sys.exit(f"ip {route}: {done.stderr.strip()}")


def called(packet: bytes, kind: int) -> str | None:
    """The place that an Ethernet packet begins to call, or the name that it asks for."""
    data = packet[ETHERNET:]
    if kind == IPV4 and len(data) > 20:
        protocol, address, data = data[9], ip_address(data[16:20]), data[4 * (data[0] & 15) :]
    elif kind == IPV6 and len(data) > 40:
        protocol, address, data = data[6], ip_address(data[24:40]), data[40:]
    else:
        return None
    if protocol not in (TCP, UDP) or len(data) < 8:
        return None
    (port,) = struct.unpack("!H", data[2:4])
    if protocol == TCP and data[13] & (SYN | ACK) != SYN:  # in the middle of a conversation
        return None
    if protocol == UDP and port == DNS:
        return f"name {asked_name(data[8:])}"
    if address.is_loopback:
        return None
    return f"{'TCP' if protocol == TCP else 'UDP'} {address} port {port}"


def asked_name(query: bytes) -> str:
    """The name in a question to a name server."""
    labels, i = [], 12
    while i < len(query) and query[i]:
        labels.append(query[i + 1 : i + 1 + query[i]].decode("ascii", "replace"))
        i += query[i] + 1
    return ".".join(labels)


def watch(tap: socket.socket, tried: dict[str, None], done: threading.Event) -> None:
    """Note what is called, until it is done and nothing more comes."""
    while True:
        try:
            packet, (_, kind, *_) = tap.recvfrom(HEAD)
        except TimeoutError:
            if done.is_set():
                return
            continue
        if place := called(packet, kind):
            tried[place] = None


def main() -> None:
    close_network()
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    for option in (socket.SO_RCVBUF, SO_RCVBUFFORCE):
        try:
            tap.setsockopt(socket.SOL_SOCKET, option, 1 << 26)
        except PermissionError:
            pass
    tap.settimeout(0.1)
    tried, done = {}, threading.Event()
    watcher = threading.Thread(target=watch, args=(tap, tried, done))
    watcher.start()
    code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
    done.set()
    watcher.join()
    _, unseen = struct.unpack("II", tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    print(json.dumps({"tried": list(tried), "unseen": unseen, "code": code}))


if __name__ == "__main__":
    main()
