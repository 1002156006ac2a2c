/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Starts a Linux kernel that is in memory already: see boot.c.  At 0x100000,
 * entered by setup.S in 32-bit protected mode.
 */
        .text
        .code32
        .globl _start
_start:
        cld
        movl    $0x18, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $stack_end, %esp
        call    prepare                 /* fills boot_params */
        movl    %eax, %ebp              /* the kernel's entry */

        /* The first 4 GiB, mapped one to one by 2 MiB pages. */
        movl    $(page_pdpt + 3), page_pml4
        movl    $page_pdpt, %edi
        movl    $(page_pd + 3), %eax
        movl    $4, %ecx
1:      movl    %eax, (%edi)
        addl    $4096, %eax
        addl    $8, %edi
        loop    1b
        movl    $page_pd, %edi
        movl    $0x83, %eax             /* present, writable, large */
        movl    $(4 * 512), %ecx
2:      movl    %eax, (%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        loop    2b

        lgdt    gdt_pointer
        movl    %cr4, %eax
        orl     $(1 << 5), %eax         /* PAE */
        movl    %eax, %cr4
        movl    $page_pml4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       /* EFER */
        rdmsr
        orl     $(1 << 8), %eax         /* long mode */
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000001, %eax       /* paging, protection */
        movl    %eax, %cr0
        ljmp    $0x10, $long_mode

        .code64
long_mode:
        movl    $0x18, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $boot_params, %esi
        movl    %ebp, %eax
        jmp     *%rax

        .data
        .align 16
gdt:    .quad 0, 0
        .quad 0x00af9b000000ffff        /* 0x10: code, 64 bit */
        .quad 0x00cf93000000ffff        /* 0x18: data */
gdt_pointer:
        .word . - gdt - 1
        .long gdt

        /* Not .bss: nobody would clear it. */
        .align 4096
page_pml4:      .skip 4096
page_pdpt:      .skip 4096
page_pd:        .skip 4 * 4096
stack:          .skip 4096
stack_end:

        .section .note.GNU-stack, "", @progbits
