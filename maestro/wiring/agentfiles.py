"""What each agent keeps below HOME, for a sandbox that hides the rest: its login, which it may refresh, and the user's
own settings, which it may only read, for they name commands that are run outside of any sandbox."""

from __future__ import annotations

from maestro.resources.sandbox import AgentFiles

AGENT_FILES = {
    "claude": AgentFiles(
        read=tuple(
            f".claude/{name}"
            for name in (
                "CLAUDE.md", "settings.json", "settings.local.json", "agents", "commands", "hooks", "output-styles",
                "plugins", "rules", "skills",
            )
        ),
        write=(".claude/.credentials.json",),
        copy=(".claude.json",),
        moved={".claude/": "CLAUDE_CONFIG_DIR"},
    ),
    "codex": AgentFiles(
        read=(".codex/AGENTS.md", ".codex/config.toml", ".codex/prompts", ".codex/skills"), write=(".codex/auth.json",),
        moved={".codex/": "CODEX_HOME"},
    ),
    "cursor": AgentFiles(
        read=(".cursor/cli-config.json", ".cursor/mcp.json", ".cursor/rules"), write=(".config/cursor/auth.json",),
        moved={".config/": "XDG_CONFIG_HOME"},
    ),
    "droid": AgentFiles(
        read=(".factory/settings.json", ".factory/mcp.json", ".factory/droids", ".factory/commands"),
        write=(".factory/auth.v2.file", ".factory/auth.v2.keyring", ".factory/auth.json"),
        moved={"": "FACTORY_HOME_OVERRIDE"},
    ),
    "gemini": AgentFiles(
        read=tuple(
            f".gemini/{name}"
            for name in (".env", "GEMINI.md", "settings.json", "commands", "extensions", "google_accounts.json")
        ),
        write=(".gemini/oauth_creds.json",),
        moved={"": "GEMINI_CLI_HOME"},
    ),
    "opencode": AgentFiles(
        read=tuple(  # the folder itself must be writable: it keeps a .gitignore there
            f".config/opencode/{name}"
            for name in (
                "AGENTS.md", "agent", "agents", "command", "commands", "config.json", "mode", "opencode.json",
                "opencode.jsonc", "plugin", "skill", "tui.json",
            )
        ),
        write=(".local/share/opencode/auth.json",),
        moved={".config/": "XDG_CONFIG_HOME", ".local/share/": "XDG_DATA_HOME"},
    ),
}  # fmt: skip
"""By the adapter's name. The rest of HOME is a folder of the attempt's own: conversations, logs, what tools keep."""
