"""The configuration file that `maestro init` writes: every key with its default, commented out."""

from __future__ import annotations

CONFIG = """\
# Settings of maestro for this repository. Every key is shown with its default; take the # away to change it.
# Stronger than this file: [tool.maestro] in pyproject.toml, variables (MAESTRO_MAX_PARALLEL), flags (--max-parallel).

# --- the backlog ---
# tasks_file = "tasks.json"           # JSON, JSONL, YAML or markdown; no default
# tracker = "auto"                    # auto, beads, taskmaster, markdown, epic, taskfile, todos
# group_id = []                       # only these groups; empty: the whole backlog
# epic = "bd-12"                      # beads: only what is below this issue; no default
# label = []                          # beads: only issues with all of these labels
# write_back = false                  # keep progress in the task file itself

# --- when a task may start ---
# schedule = "auto"                   # stages, levels, dataflow; auto: stages where tasks carry markers, else dataflow
# max_parallel = 4                    # agents at once; no default: processors, memory and disk decide
# parallel_execution = true           # false: one at a time
# agent_limits = {}                   # per agent, such as { claude = 3 }
# group_parallel = 15                 # tasks of one group at once; no default
# resources = { tests = 1 }           # named resources: slots, or { slots = 2, scope = "machine", limit = 900 }
# allow_overlap = false               # let tasks that write the same file run at once
# keep_going = false                  # after a failure, block only what depends on it
# min_free_disk_mb = 512              # below this no new workspace is made
# min_free_memory_mb = 512            # below this no more attempts start
# min_free_files = 64                 # nor where maestro may open fewer files than this
# max_load = 16.0                     # nor above this load per core; 0: not looked at, as with the three before

# --- the agents ---
# agent = "claude"                    # claude, codex, gemini, opencode, droid, cursor, command
# agent_command = "my-agent < \\"$MAESTRO_PROMPT_FILE\\""   # any command line, run by sh -c; no default
# attempts = 2                        # tries per task
# task_timeout = 7200                 # seconds, one attempt
# silent_timeout = 1800               # seconds without any sign of life
# exit_timeout = 60                   # seconds between the end it announced and its exit
# suspect_after = 120                 # seconds without output and processor time until it is said to be suspected
# attempt_memory_mb = 4096            # stop an attempt whose processes together use more; no default: any amount
# hold_seconds = 60                   # first rest of an account at a limit whose end nobody names
# grace_seconds = 600                 # after the first ^C, running work may finish for so long
# stop_interrupt_seconds = 10         # when an agent is stopped: between INT and TERM
# stop_terminate_seconds = 5          # between TERM and KILL
# env_allow = []                      # variables that agents get beyond the usual ones
# home = "user"                       # HOME of agents and tests: user, private (one for each attempt), or a path
# caches = {}                         # of pip, npm, cargo, uv: such as { npm = "private" }; else shared
# sandbox = "none"                    # none, bubblewrap
# sandbox_read = []                   # what a sandboxed agent may read beyond the system and its workspace
# sandbox_write = []                  # and write
# keys = {}                           # pools of API keys, such as { anthropic = { from_env = ["KEY_A", "KEY_B"] } }
# refresh_command = "cat NOTES.md"    # context before each group; no default (claude: /flow:summary)
# refresh_timeout = 300
# refresh_max_chars = 8000            # of what it says
# refresh_every_group = true          # no default: a refresh_command yes, /flow:summary once in a run
# agents = {}                         # options of each agent, such as { claude = { model = "opus" } }
# keywords = {}                       # words that choose an agent, such as { qa-expert = ["test", "pytest"] }

# --- budgets ---
# budget = 20.0                       # US dollars of a run: nothing new starts when it is spent; no default
# budget_tokens = 5000000             # tokens of a run, input and output; no default
# budget_seconds = 28800              # wall time of a run; no default
# day_budget = 50.0                   # US dollars of all runs here since midnight; no default
# day_budget_tokens = 20000000        # tokens of all runs here since midnight; no default
# attempt_budget = 3.0                # US dollars of one attempt: it is stopped when they are spent; no default
# attempt_budget_tokens = 1000000     # tokens of one attempt; no default

# --- where an attempt works ---
# workspace = "worktree"              # worktree, clone, copy, none
# workspace_root = "~/workspaces"     # no default: a folder of its own outside the repository
# keep_workspaces = false             # keep those of landed tasks too
# keep_saved_days = 90                # saved work of runs that ended; no default: for ever
# keep_runs_days = 90                 # journals and logs of runs that landed all; no default: for ever
# setup = []                          # commands, such as ["npm ci"]
# setup_timeout = 900
# copy = []                           # files that git does not know, such as [".env"]
# symlink = []                        # folders, such as ["node_modules"]
# keep = []                           # what the next task in a workspace finds there, such as [".venv"]
# git_credentials = "path"            # no default: a git credential store; agents get a copy of it
# ports = {}                          # more services, such as { SEARCH_PORT = 20000 }: the first of 1,000 ports
# mcp_servers = {}                    # MCP servers for the agents, by name: client-config.json

# --- landing ---
# integration_base_branch = "main"    # no default: main where there is one, else the branch checked out
# land_on_base = false                # at the end, move that branch to the result
# integration_pr_enabled = false
# strategy = "merge"                  # merge, squash, rebase
# conflict_detection = true
# max_batch = 8                       # finished tasks judged by one run of the tests
# sequential_above = 0.3              # share of landings that fail, above which one task runs at a time
# test_command = "make test"          # run by sh -c; no default: found
# no_tests = false
# test_timeout = 1800
"""
