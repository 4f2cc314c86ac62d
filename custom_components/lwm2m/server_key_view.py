"""The public half of the server's identity as files to download: what is put into devices. The private key never is."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus

from aiohttp.web import Request, Response
from homeassistant.components.http.auth import async_sign_path
from homeassistant.core import HomeAssistant
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView

from .const import DATA_HUB
from .security.server_identity import ServerIdentity
from .server_keys import KeptIdentity

URL = "/api/lwm2m/server_key/{key_id}/{name}"
LINK_LIFE = timedelta(hours=1)

FILES: Mapping[str, Callable[[ServerIdentity], bytes]] = {
    "certificate.pem": ServerIdentity.chain_pem,
    "certificate.der": lambda identity: identity.certificate,
    "public_key.pem": ServerIdentity.public_key_pem,
    "public_key.der": lambda identity: identity.public_key,
}


class ServerKeyView(HomeAssistantView):
    """Serves the files of the identities that are kept."""

    url = URL
    name = "api:lwm2m:server_key"

    async def get(self, request: Request, key_id: str, name: str) -> Response:
        """Return one file as an attachment."""
        keys = request.app[KEY_HASS].data[DATA_HUB].keys
        kept = keys.find(key_id)
        if kept is None or name not in FILES:
            return Response(status=HTTPStatus.NOT_FOUND)
        return Response(
            body=FILES[name](kept.identity),
            content_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="lwm2m_server_{name}"'},
        )


async def async_download_links(hass: HomeAssistant, kept: KeptIdentity) -> str:
    """Return links to the files of an identity for a text of a dialog; they work for an hour.

    A link without a target the frontend would take for a page of its own.
    """
    return ", ".join(
        f'<a href="{async_sign_path(hass, URL.format(key_id=kept.key_id, name=name), LINK_LIFE)}" '
        f'target="_blank">{name}</a>'
        for name in FILES
    )
