"""_delay_proxy.py LISTEN_PORT TARGET_PORT SECONDS: forwards connections on 127.0.0.1, each byte SECONDS later, whatever its rate."""
import asyncio
import sys

LISTEN, TARGET, DELAY = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
AHEAD = 64 << 20  # bytes under way in one direction: above what any window of the two ends allows


async def forward(reader, writer):
    loop = asyncio.get_running_loop()
    under_way = asyncio.Queue()
    room = asyncio.Condition()
    held = 0

    async def deliver():
        nonlocal held
        while True:
            due, data = await under_way.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
            async with room:
                held -= len(data)
                room.notify()

    delivery = asyncio.create_task(deliver())
    try:
        while True:
            data = await reader.read(1 << 20)
            async with room:
                await room.wait_for(lambda: held < AHEAD)
                held += len(data)
            under_way.put_nowait((loop.time() + DELAY, data))
            if not data:
                break
        await delivery
    except (ConnectionError, OSError):
        delivery.cancel()


async def accept(reader, writer):
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", TARGET, limit=4 << 20)
    try:
        await asyncio.gather(forward(reader, there_writer), forward(there_reader, writer))
    except ConnectionError:
        pass
    finally:
        writer.close()
        there_writer.close()


async def main():
    server = await asyncio.start_server(accept, "127.0.0.1", LISTEN, limit=4 << 20)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
