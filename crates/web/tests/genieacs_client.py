"""Asks Lightkeeper with pygenieacs, a client of GenieACS that was not written for it. Prints what it found as JSON."""

import asyncio
import json
import sys
from urllib.parse import quote

import httpx
from pygenieacs import DevicesAPI, GenieACSClient, PresetsAPI, ProvisionsAPI, TasksAPI


async def main(base_url, key):
    found = {}
    async with GenieACSClient(base_url=base_url, username="pygenieacs", password=key) as client:
        devices = DevicesAPI(client)
        everything = await devices.list()
        found["ids"] = [device["_id"] for device in everything]
        first = everything[0]["_id"]
        query = {"query": json.dumps({"_deviceId._SerialNumber": "*2"}), "projection": "_id"}
        found["queried"] = await devices.list(query)
        # The client does not encode an id by itself.
        path = quote(first, safe="")
        found["one"] = (await devices.get(path))["_deviceId"]["_SerialNumber"]

        answer = await client.client.post(f"{client.base_url}/devices/{path}/tags/fibre")
        found["tagged"] = [answer.status_code, answer.reason_phrase]
        found["by_tag"] = [device["_id"] for device in await devices.list({"query": '{"_tags": "fibre"}'})]

        faults = await client.get("/faults")
        found["faults"] = [[fault["device"], fault["code"]] for fault in faults]
        await client.delete("/faults/" + quote(faults[0]["_id"], safe=""))
        found["faults_left"] = len(await client.get("/faults"))

        found["presets"] = await PresetsAPI(client).list()
        found["provisions"] = await ProvisionsAPI(client).list()
        found["tasks"] = await TasksAPI(client).list()
        try:
            await devices.get("nobody")
        except httpx.HTTPStatusError as error:
            found["missing"] = [error.response.status_code, error.response.text]

    async with GenieACSClient(base_url=base_url) as stranger:
        try:
            await DevicesAPI(stranger).list()
        except httpx.HTTPStatusError as error:
            found["stranger"] = error.response.status_code
    print(json.dumps(found))


asyncio.run(main(sys.argv[1], sys.argv[2]))
