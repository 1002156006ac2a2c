/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The part of the boot loader that QEMU takes for a kernel's boot sector and
 * real-mode setup code: two sectors, at 0x10000, entered at 0x1020:0.  It
 * asks the BIOS for the memory map and goes on to entry.S at 0x100000.
 */
        .set E820_COUNT, 0x8000         /* at 0x18000, see boot.c */
        .set E820_LIST, 0x8010
        .set E820_MAX, 100

        .code16
        .text
        .org 0x1f1
        .byte 1                         /* setup sectors, after the first */
        .org 0x1fe
        .word 0xaa55
        .org 0x200
        .globl _start
_start: jmp     setup                   /* two bytes, header in between */
        .ascii  "HdrS"
        .word   0x0202                  /* protocol */
        .org 0x211
        .byte   1                       /* loaded high, at 0x100000 */
        .org 0x240
setup:
        cli
        movw    %cs, %ax
        subw    $0x20, %ax              /* so that labels count from 0 */
        movw    %ax, %ds
        movw    %ax, %es
        sti
        cld
        xorl    %ebx, %ebx
        movl    %ebx, E820_COUNT
        movw    $E820_LIST, %di
1:      movl    $0xe820, %eax
        movl    $0x534d4150, %edx       /* "SMAP" */
        movl    $20, %ecx
        int     $0x15
        jc      2f
        addw    $20, %di
        incl    E820_COUNT
        cmpl    $E820_MAX, E820_COUNT
        jae     2f
        testl   %ebx, %ebx
        jnz     1b
2:      cli
        lgdtl   gdt_pointer
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $0x10, $0x100000

        .align 8
gdt:    .quad 0, 0
        .quad 0x00cf9b000000ffff        /* 0x10: code, 32 bit */
        .quad 0x00cf93000000ffff        /* 0x18: data */
gdt_pointer:
        .word . - gdt - 1
        .long gdt + 0x10000
        .org 0x400

        .section .note.GNU-stack, "", @progbits
