// [n, rows, columns] -> [n, columns, rows]: between channels first and channels last.
#include "common.cuh"

// Four numbers that move at once, where they lie so that they can.
template <typename T> struct alignas(4 * sizeof(T)) Quad {
    T numbers[4];
};

// Four by four numbers for each thread; 32 threads side by side take 4 times 8 of these tiles, so that both what they read
// and what they write fills sectors of 32 bytes. i: rows columns, groups of tiles along both
KERNEL(transpose) {
    const int rows = p.i[0], columns = p.i[1], group_rows = p.i[2], group_columns = p.i[3];
    const long long group = at / 32, image = group / group_columns / group_rows;
    const int within = (int)(at % 32);
    const int row = ((int)(group / group_columns % group_rows) * 4 + within / 8) * 4;
    const int column = ((int)(group % group_columns) * 8 + within % 8) * 4;
    if (row >= rows || column >= columns) return;
    const T *from = a + image * rows * columns + (long long)row * columns + column;
    T *to = (T *)y + image * rows * columns + (long long)column * rows + row;
    const bool aligned = ((size_t)a | (size_t)y) % sizeof(Quad<T>) == 0;
    if (rows % 4 == 0 && columns % 4 == 0 && aligned) {
        Quad<T> in[4];
        for (int i = 0; i < 4; i++) in[i] = *(const Quad<T> *)(from + (long long)i * columns);
        for (int j = 0; j < 4; j++) {
            Quad<T> out;
            for (int i = 0; i < 4; i++) out.numbers[i] = in[i].numbers[j];
            *(Quad<T> *)(to + (long long)j * rows) = out;
        }
        return;
    }
    for (int j = 0; j < 4 && column + j < columns; j++)
        for (int i = 0; i < 4 && row + i < rows; i++) to[(long long)j * rows + i] = from[(long long)i * columns + j];
}
ENTRIES(transpose)
