"""TLS before a plain endpoint, byte for byte, as a load balancer would terminate it: `tls.py HOST:PORT FOLDER`.

Makes a certificate for 127.0.0.1 in FOLDER (cert.pem), prints its own address, and runs until it is stopped.
"""

import asyncio
import pathlib
import ssl
import subprocess
import sys


def certificate(folder):
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def pump(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def main(target, folder):
    host, port = target.rsplit(":", 1)

    async def accepted(reader, writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=certificate(pathlib.Path(folder)))
    own = server.sockets[0].getsockname()
    print(f"https://{own[0]}:{own[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
