"""Queues tasks for a device of a running demo with pygenieacs, a client of GenieACS that was not written for Lightkeeper.
Prints what came of them as JSON."""

import asyncio
import html
import json
import re
import sys
import time
from urllib.parse import quote

import httpx
from pygenieacs import DevicesAPI, GenieACSClient, TasksAPI

INFO = "InternetGatewayDevice.DeviceInfo"
# Far longer than anything takes.
PATIENCE_S = 300


def api_key(url, password):
    """Signs in as an administrator does at the first start, and makes a key."""
    headers = {"origin": url}
    with httpx.Client(base_url=url, follow_redirects=True, headers=headers, timeout=PATIENCE_S) as browser:
        def send(path, page, **fields):
            token = re.search(r'name="_csrf" value="([^"]*)"', page.text)
            if token:
                fields["_csrf"] = html.unescape(token[1])
            answer = browser.post(path, data=fields)
            answer.raise_for_status()
            return answer

        page = send("/login", browser.get("/login"), name="admin", password=password, next="/")
        if page.url.path == "/password":
            new = "a-password-of-their-own-1"
            send("/password", page, old=password, new=new, repeat=new)
        page = browser.get("/settings/api-keys")
        scopes = ["read", "cpes:operate", "cpes:configure", "cpes:restart"]
        made = send("/settings/api-keys", page, name="pygenieacs", days="", scope=scopes)
        return re.search(r'<span class="mono strong lk-path-text">([^<]*)</span>', made.text)[1]


class Device:
    """One device, and its tasks as GenieACS takes them: pygenieacs has no argument for connection_request."""

    def __init__(self, client, id):
        self.client, self.tasks, self.path = client, TasksAPI(client), quote(id, safe="")
        self.url = f"{client.base_url}/devices/{self.path}/tasks"

    async def order(self, task):
        """Waits for a task as a client of GenieACS does: [what was answered, how it stood then, what became of it]."""
        answer = await self.client.client.post(self.url + "?connection_request&timeout=60000", json=task)
        told = answer.json()
        # Where the device was not there in time the answer says so, and the task goes on.
        return told["_id"], [
            [answer.status_code, answer.reason_phrase],
            told["status"],
            await self.became(told["_id"]),
        ]

    async def became(self, task):
        until = time.monotonic() + PATIENCE_S
        while (status := (await self.tasks.get(task))["status"]) in ("waiting", "sent"):
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.2)
        return status


async def main(url, password):
    found = {}
    key = api_key(url, password)
    async with GenieACSClient(base_url=f"{url}/nbi", username="pygenieacs", password=key) as client:
        client.client.timeout = httpx.Timeout(PATIENCE_S)
        [id] = [one["_id"] for one in await DevicesAPI(client).list() if "_lastInform" in one]
        device = Device(client, id)
        # It may be busy once or twice; a read does no harm.
        for _ in range(20):
            _, found["refreshed"] = await device.order({"name": "refreshObject", "objectName": INFO})
            if found["refreshed"][0][0] == 200:
                break
        names = [f"{INFO}.SoftwareVersion", "Device.DeviceInfo.SoftwareVersion"]
        _, found["read"] = await device.order({"name": "getParameterValues", "parameterNames": names})
        code = f"{INFO}.ProvisioningCode"
        task = {"name": "setParameterValues", "parameterValues": [[code, "fibre-7", "xsd:string"]]}
        _, found["set"] = await device.order(task)
        query = {"query": json.dumps({"_id": id}), "projection": code}
        seen = (await DevicesAPI(client).list(query))[0]
        found["seen"] = seen["InternetGatewayDevice"]["DeviceInfo"]["ProvisioningCode"]["_value"]
        task = {"name": "setParameterValues", "parameterValues": [["InternetGatewayDevice.NoSuch", "1", "xsd:string"]]}
        faulted, found["faulted"] = await device.order(task)
        found["failed"] = [[one["_id"] == faulted, one["status"]] for one in await device.tasks.list()]
        await device.tasks.delete(faulted)
        _, found["rebooted"] = await device.order({"name": "reboot"})
        # pygenieacs's own words for a task, which ask for no connection request: the answer does not wait.
        queued = await device.tasks.add(device.path, "refreshObject", {"objectName": INFO})
        found["queued"] = queued["name"]
        found["became"] = await device.became(queued["_id"])
        found["left"] = await device.tasks.list()
        called = await client.client.post(device.url + "?connection_request")
        found["called"] = [called.status_code, bool(called.text)]
    print(json.dumps(found))


asyncio.run(main(sys.argv[1], sys.argv[2]))
