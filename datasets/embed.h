/* Puts a file of the source tree into the library as it is: QVL_EMBED(symbol, "path") defines `symbol`, its
 * bytes with a zero behind them. The build makes the object depend on the file (CMakeLists.txt). */
#ifndef QVL_DATASETS_EMBED_H
#define QVL_DATASETS_EMBED_H

#define QVL_EMBED(symbol, path)                                                                              \
    __asm__(".pushsection .rodata\n.balign 16\n" #symbol ":\n.incbin \"" path "\"\n.byte 0\n.popsection");   \
    extern const char symbol[] __attribute__((visibility("hidden")))

#endif
