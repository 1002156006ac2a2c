/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A boot loader for the lab's HVM guests.
 *
 * Xen's QEMU hands a direct-boot kernel and its initramfs to the guest byte
 * by byte through an I/O port: half a minute under emulation, and then the
 * guest has to decompress it.  So QEMU's generic loader device puts both into
 * the guest's memory in one go, the kernel as the ELF file that it is inside
 * its bzImage, and this, all that goes through the port, starts it by Linux's
 * 64-bit boot protocol (Documentation/arch/x86/boot.rst).
 *
 * The initramfs lies at INITRD_AT behind a page that holds the kernel's entry
 * and the initramfs's size, see build_hvm_initrd() in build-image.sh.
 */
#include <asm/bootparam.h>

#define INITRD_AT 0x400000u
#define PAGE 4096u

/* What setup.S and, before it, QEMU left: see there, and boot.rst. */
#define SETUP_AT 0x10000u
#define E820_COUNT_AT 0x18000u
#define E820_LIST_AT 0x18010u

struct lab_head {
    __u32 entry, initrd_size;
};

/* In .data, as nobody clears a .bss. */
struct boot_params boot_params
    __attribute__((aligned(4096), section(".data")));

__u32 prepare(void);

__u32 prepare(void)
{
    const struct lab_head *head = (const struct lab_head *)INITRD_AT;
    const struct boot_params *given = (const struct boot_params *)SETUP_AT;
    const struct boot_e820_entry *list =
        (const struct boot_e820_entry *)E820_LIST_AT;
    struct setup_header *hdr = &boot_params.hdr;
    __u32 count = *(const volatile __u32 *)E820_COUNT_AT;

    hdr->boot_flag = 0xaa55;
    hdr->header = 0x53726448;       /* "HdrS" */
    hdr->version = 0x020f;
    hdr->type_of_loader = 0xff;
    hdr->loadflags = LOADED_HIGH;
    hdr->cmd_line_ptr = given->hdr.cmd_line_ptr;
    hdr->ramdisk_image = INITRD_AT + PAGE;
    hdr->ramdisk_size = head->initrd_size;
    for (__u32 i = 0; i < count; i++)
        boot_params.e820_table[i] = list[i];
    boot_params.e820_entries = (__u8)count;
    return head->entry;
}
