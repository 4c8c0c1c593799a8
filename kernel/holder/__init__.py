"""The holder: a small process that keeps programs alive when the kernel's process dies or is upgraded.

It runs on the standard library alone and without threads, so that it may fork. Programs print into spool files
(`spool`), which the kernel reads at its own pace; requests go over a Unix socket (`frames`). `client` is the kernel's
end of it.
"""
