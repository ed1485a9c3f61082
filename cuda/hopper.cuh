/* SPDX-License-Identifier: MIT */
/* Instructions that Hopper brought: barriers that count bytes, bulk copies, and matrix products of
 * a warpgroup. For kernels that overlap see launch.cuh. */
#ifndef SPC_CUDA_HOPPER_CUH
#define SPC_CUDA_HOPPER_CUH

#include <stdint.h>

/* ---- barriers in shared memory ---- */

static __device__ __forceinline__ void barrier_init(uint32_t barrier, int arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals)
                 : "memory");
}

static __device__ __forceinline__ void barrier_arrive(uint32_t barrier)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

static __device__ __forceinline__ void barrier_expect(uint32_t barrier, int bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
                 "r"(bytes)
                 : "memory");
}

static __device__ __forceinline__ void barrier_wait(uint32_t barrier, uint32_t parity)
{
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@done bra over;\n"
                 "bra again;\n"
                 "over:\n"
                 "}" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}

static __device__ __forceinline__ void bulk_copy(uint32_t to, const void *from, int bytes,
                                                 uint32_t barrier)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1], %2, [%3];" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(barrier)
                 : "memory");
}

/* ---- registers of a warpgroup: how many each thread may have from here on ---- */

template <int REGISTERS> static __device__ __forceinline__ void give_registers()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

template <int REGISTERS> static __device__ __forceinline__ void take_registers()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

/* ---- clusters: blocks that run at once and reach each other's shared memory ---- */

static __device__ __forceinline__ int cluster_rank()
{
    int rank;

    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

static __device__ __forceinline__ int cluster_size()
{
    int size;

    asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
    return size;
}

/* All threads of the cluster that have not ended meet; what they wrote before is seen after. */
static __device__ __forceinline__ void cluster_sync()
{
    asm volatile("barrier.cluster.arrive.release;\n"
                 "barrier.cluster.wait.acquire;" ::: "memory");
}

/* Where another block of the cluster has what is at `address` in this one. */
static __device__ __forceinline__ uint32_t address_in(uint32_t address, int rank)
{
    uint32_t there;

    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    return there;
}

static __device__ __forceinline__ void store_there(uint32_t to, const float (&values)[4])
{
    asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(to), "f"(values[0]),
                 "f"(values[1]), "f"(values[2]), "f"(values[3])
                 : "memory");
}

static __device__ __forceinline__ void store_shared(uint32_t to, const float (&values)[4])
{
    asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(to), "f"(values[0]),
                 "f"(values[1]), "f"(values[2]), "f"(values[3])
                 : "memory");
}

static __device__ __forceinline__ void load_shared(float (&values)[4], uint32_t from)
{
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(values[0]), "=f"(values[1]), "=f"(values[2]), "=f"(values[3])
                 : "r"(from)
                 : "memory");
}

/* ---- products of 64 rows x WIDTH columns ---- */

#define SUM4(i) "+f"(sums[i][0]), "+f"(sums[i][1]), "+f"(sums[i][2]), "+f"(sums[i][3])
#define SUM16(i) SUM4(i), SUM4(i + 1), SUM4(i + 2), SUM4(i + 3)
#define ROWS4 "r"(rows[0]), "r"(rows[1]), "r"(rows[2]), "r"(rows[3])

/* Adds rows x columns, k = 16: rows in registers, 16 to a warp; `columns` describes columns in
 * shared memory. One specialization a width, because the instruction names every register. */
template <int TILES>
static __device__ __forceinline__ void wgmma(float (&sums)[TILES][4], const uint32_t (&rows)[4],
                                             uint64_t columns);

template <>
__device__ __forceinline__ void wgmma<2>(float (&sums)[2][4], const uint32_t (&rows)[4],
                                        uint64_t columns)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7}, "
                 "{%8, %9, %10, %11}, %12, 1, 1, 1, 0;"
                 : SUM4(0), SUM4(1)
                 : ROWS4, "l"(columns));
}

template <>
__device__ __forceinline__ void wgmma<4>(float (&sums)[4][4], const uint32_t (&rows)[4],
                                        uint64_t columns)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, "
                 "{%16, %17, %18, %19}, %20, 1, 1, 1, 0;"
                 : SUM16(0)
                 : ROWS4, "l"(columns));
}

template <>
__device__ __forceinline__ void wgmma<8>(float (&sums)[8][4], const uint32_t (&rows)[4],
                                        uint64_t columns)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
                 "{%32, %33, %34, %35}, %36, 1, 1, 1, 0;"
                 : SUM16(0), SUM16(4)
                 : ROWS4, "l"(columns));
}

template <>
__device__ __forceinline__ void wgmma<16>(float (&sums)[16][4], const uint32_t (&rows)[4],
                                        uint64_t columns)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
                 "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
                 "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
                 "{%64, %65, %66, %67}, %68, 1, 1, 1, 0;"
                 : SUM16(0), SUM16(4), SUM16(8), SUM16(12)
                 : ROWS4, "l"(columns));
}

static __device__ __forceinline__ void wgmma_fence()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

static __device__ __forceinline__ void wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Until no more than PENDING committed groups of products are under way. */
template <int PENDING> static __device__ __forceinline__ void wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

/* Describes columns of `slice` values in shared memory, swizzled over the whole of a column; eight
 * columns are 8 * slice * 2 bytes. The next 16 values are 2 further. */
template <int SLICE> static __device__ __forceinline__ uint64_t wgmma_columns(uint32_t address)
{
    constexpr uint64_t type = SLICE == 64 ? 1 : SLICE == 32 ? 2 : 3;

    return (uint64_t)((address & 0x3ffff) >> 4) | 1ull << 16 | (uint64_t)SLICE << 32 | type << 62;
}

#endif
