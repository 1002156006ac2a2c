/* SPDX-License-Identifier: LGPL-2.1-only */
#include "bk.h"

int main(int argc, char **argv)
{
    return bk_main(argc, argv);
}
