"""A command line and an MCP tool in one file: `python examples/math_cli.py add 2 3`, and `… --mcp` serves it."""

import sys

from nexus.plugin import Invalid, Values, define_commands, register_mcp, run_cli

NUMBERS = {
    "a": {"type": "number", "positional": 0, "required": True, "description": "The first number."},
    "b": {"type": "number", "positional": 1, "required": True, "description": "The second number."},
}


def add(args: Values) -> float:
    return args.a + args.b


def multiply(args: Values) -> float:
    return args.a * args.b


def divide(args: Values) -> float:
    if args.b == 0:
        raise Invalid("Nothing can be divided by 0.", field="b", hint="math divide 6 3")
    return args.a / args.b


def mean(args: Values) -> dict[str, float]:
    numbers = [float(number) for number in args.numbers]
    return {"mean": sum(numbers) / len(numbers), "count": len(numbers)}


commands = define_commands(
    {
        "add": {"description": "Add two numbers.", "args": NUMBERS, "handler": add, "examples": ["add 2 3"]},
        "multiply": {"description": "Multiply two numbers.", "args": NUMBERS, "handler": multiply},
        "divide": {
            "description": "Divide two numbers.",
            "args": NUMBERS,
            "handler": divide,
            "examples": ["divide 6 3"],
        },
        "stats": {
            "description": "Numbers in a list.",
            "subcommands": {
                "mean": {
                    "description": "The mean of numbers.",
                    "args": {"numbers": {"type": "array", "required": True, "description": "Numbers: 1,2,3."}},
                    "handler": mean,
                    "examples": ["stats mean --numbers 1,2,3"],
                }
            },
        },
    }
)

if __name__ == "__main__":
    if "--mcp" in sys.argv[1:]:
        from mcp.server import MCPServer

        server = MCPServer("math")
        register_mcp(server, commands, name="math", description="Mathematical operations")
        server.run("stdio")
    else:
        run_cli(commands, name="math", version="1.0.0", description="Mathematical operations.")
