// SPDX-License-Identifier: MIT
// The public header compiles alone as C++, and its functions link from there.
#include <spc/spc.h>

int main()
{
    spc_session_options options;
    spc_model *model = nullptr;
    spc_error err;

    spc_session_options_default(&options);
    if (spc_model_load_memory("", 0, nullptr, &model, &err) == SPC_OK || err.message[0] == 0)
        return 1;
    return options.struct_size == sizeof(options) && options.max_voxels > 0 ? 0 : 1;
}
