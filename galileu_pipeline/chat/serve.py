"""Starting the chat safely: on this machine alone, or behind a login."""

import hmac
import ipaddress
import os
import socket
from collections.abc import Callable
from typing import Any

from galileu_pipeline.errors import InputError

LOGIN_VARIABLE = "GALILEU_CHAT_LOGIN"
_MIN_PASSWORD_CHARS = 8

Login = Callable[[str, str], bool]


def login_from_environment() -> Login | None:
    """What checks a user's password, after `GALILEU_CHAT_LOGIN` ("ana:secret-one,bia:secret-two"); None without it.

    Raises:
        InputError: it is not of that form, or a password is too short. The message shows no password.
    """
    value = os.environ.get(LOGIN_VARIABLE)
    if not value:
        return None
    passwords: dict[str, str] = {}
    for entry in value.split(","):
        user, _, password = entry.partition(":")
        if not user.strip() or len(password) < _MIN_PASSWORD_CHARS:
            raise InputError(
                f"{LOGIN_VARIABLE} must be user:password[,user:password], with at least {_MIN_PASSWORD_CHARS} "
                "characters in each password."
            )
        passwords[user.strip()] = password

    def check(user: str, password: str) -> bool:
        # The comparison takes as long for an unknown user as for a known one.
        expected = passwords.get(user, "")
        return hmac.compare_digest(password.encode(), expected.encode()) and user in passwords

    return check


def require_safe_address(host: str, login: Login | None) -> None:
    """Refuse to serve the network without a login.

    Raises:
        InputError: `host` is not this machine's own address, and there is no login.
    """
    if login is None and not is_loopback(host):
        raise InputError(
            f"On {host} others can reach the chat, so it needs a login: set {LOGIN_VARIABLE}=user:password "
            "(several with commas), or leave out --host."
        )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_free_port(host: str, port: int) -> None:
    """Raises InputError if something else listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(f"The chat cannot listen on {host}, port {port}: {error.strerror}. Try --port.") from error


class NoUploads:
    """ASGI middleware: the chat has no file to receive, so Gradio's upload routes answer 403."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and "/upload" in scope["path"]:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"No uploads here."})
            return
        await self.app(scope, receive, send)


def launch(app: Any, i18n: Any, host: str, port: int, login: Login | None) -> None:
    """Serve `app` until interrupted. No share link, analytics, uploads, history of runs or listed API."""
    import gradio as gr
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from galileu_pipeline.chat.page import CSS

    middleware = [Middleware(NoUploads)]
    if is_loopback(host):
        # Against pages elsewhere that let their own name point here (DNS rebinding).
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", host]))
    fonts = ["ui-sans-serif", "system-ui", "sans-serif"]  # the machine's own: nothing is fetched
    theme = gr.themes.Soft(primary_hue="amber", font=fonts, font_mono=["ui-monospace", "monospace"]).set(
        block_title_background_fill="none",
        block_title_text_color="*body_text_color",
        block_label_background_fill="none",
        block_label_text_color="*body_text_color",
        button_primary_text_color="black",
    )
    app.launch(
        server_name=host,
        server_port=port,
        auth=login,
        auth_message="Entre com seu usuário e senha. / Log in with your user name and password.",
        share=False,
        quiet=True,
        show_error=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        strict_cors=True,
        max_file_size=1,
        state_session_capacity=1_000,
        app_kwargs={"middleware": middleware, "docs_url": None, "redoc_url": None, "openapi_url": None},
        i18n=i18n,
        theme=theme,
        css=CSS,
        prevent_thread_lock=True,
    )
