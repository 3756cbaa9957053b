// Loaded into the pinned Node when the launcher had to stay as its parent: if the launcher is killed, end too.
// Polling, because only Linux can tell a process of its parent's death, and Node has no call for it.
const POLL_MS = 250;
const launcherPid = Number(process.env.SLIPSTREAM_LAUNCHER_PID);
delete process.env.SLIPSTREAM_LAUNCHER_PID; // children of this process have this process as their parent

if (launcherPid > 0) {
  const timer = setInterval(() => {
    if (process.ppid === launcherPid) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, POLL_MS);
  timer.unref();
}
