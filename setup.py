"""The package: its core needs only pydantic; the extras are the two environments it runs in."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The direct requirements in requirements/<name>.in, without comments and options."""
    lines = (ROOT / "requirements" / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith(("#", "-"))]


setup(
    name="content_signals",
    version="0.1.0",
    description="Daily and real-time signals about content, from landing files to a model's request",
    python_requires=">=3.11",
    packages=find_packages(include=["content_signals", "content_signals.*"]),
    package_data={
        "content_signals.llm": ["prompts/*/*.md", "prompts/*/examples/*.json"],
        "content_signals.models": ["*.json", "*.npz"],
        "content_signals.signals.audio_clip": ["models/*"],
        "content_signals.orchestration.signals_page": ["templates/*", "static/*"],
    },
    install_requires=["pydantic>=2", "pydantic-settings"],
    extras_require={"jobs": requirements("jobs"), "airflow": requirements("airflow")},
    entry_points={"console_scripts": ["content-signals = content_signals.cli:main"]},
)
