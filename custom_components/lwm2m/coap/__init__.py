"""CoAP over UDP and DTLS: the first layer that waits.

Only this layer touches a socket. It drives a `dtls.Endpoint` and a plain port, turns datagrams into requests, responses
and notifications, and knows nothing of LwM2M. Message ids, retransmission and acknowledgement are aiocoap's; what a
peer may make us keep is bounded here, before aiocoap sees it; notifications of live observations go round it.
"""
