#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""inject.py PID CALL...: what the kernel answers a process that is taken over.

The process is made to issue each CALL, which is NUMBER[,ARGUMENT...], by its own
system-call instruction, and goes on as if nothing had been.  A word a call: the name of
the error, or what was returned.  For x86-64.
"""
import ctypes, errno, os, sys
ATTACH, INTERRUPT, GETREGS, SETREGS, STEP, DETACH, PEEK = 0x4206, 0x4207, 12, 13, 9, 17, 1
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags "
         "rsp ss fs_base gs_base ds es fs gs").split()
ARGUMENTS = "rdi rsi rdx r10 r8 r9".split()
class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulong) for name in NAMES]
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
def ptrace(request, address=0, data=0):
    ctypes.set_errno(0)
    word = libc.ptrace(request, pid, ctypes.c_void_p(address), data)
    if ctypes.get_errno():
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")
    return word
def stopped():
    if not os.WIFSTOPPED(os.waitpid(pid, 0)[1]):
        sys.exit(f"process {pid} ended")
pid = int(sys.argv[1])
ptrace(ATTACH)
ptrace(INTERRUPT)
stopped()
held = Registers()
ptrace(GETREGS, 0, ctypes.byref(held))
# It waits in a call of its own: the instruction before is the one.
if ptrace(PEEK, held.rip - 2) & 0xffff != 0x050f:
    sys.exit(f"process {pid} is not in a system call")
for call in sys.argv[2:]:
    number, *values = (int(word, 0) & (1 << 64) - 1 for word in call.split(","))
    made = Registers.from_buffer_copy(held)
    for name, value in zip(ARGUMENTS, values + [0] * 6):
        setattr(made, name, value)
    made.rax, made.orig_rax, made.rip = number, (1 << 64) - 1, held.rip - 2
    ptrace(SETREGS, 0, ctypes.byref(made))
    ptrace(STEP)
    stopped()
    ptrace(GETREGS, 0, ctypes.byref(made))
    result = ctypes.c_long(made.rax).value
    print(errno.errorcode.get(-result, result) if -4096 < result < 0 else result)
ptrace(SETREGS, 0, ctypes.byref(held))
ptrace(DETACH)
