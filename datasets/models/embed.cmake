# Compiles the model tables (NAME.json beside this file) into the library. Included, it declares the rule and sets
# model_tables_source to the C file; run as a script (cmake -P) it writes that file to OUTPUT.
if(CMAKE_SCRIPT_MODE_FILE)
  file(GLOB model_tables ${CMAKE_CURRENT_LIST_DIR}/*.json)
  list(SORT model_tables COMPARE NATURAL)
  set(text "#include \"datasets/model_tables.h\"\n")
  set(rows "")
  set(count 0)
  foreach(table ${model_tables})
    file(READ ${table} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    get_filename_component(name ${table} NAME_WLE)
    string(APPEND text "static const char table_${count}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", table_${count}, sizeof table_${count} - 1},\n")
    math(EXPR count "${count} + 1")
  endforeach()
  string(APPEND text "const struct qvl_model_table qvl_model_tables[] = {\n${rows}};\n")
  string(APPEND text "const int64_t qvl_model_tables_count = ${count};\n")
  file(WRITE ${OUTPUT} "${text}")
else()
  file(GLOB model_tables CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.json)
  set(model_tables_source ${CMAKE_CURRENT_BINARY_DIR}/model_tables_data.c)
  add_custom_command(
    OUTPUT ${model_tables_source}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${model_tables_source} -P ${CMAKE_CURRENT_LIST_FILE}
    DEPENDS ${model_tables} ${CMAKE_CURRENT_LIST_FILE}
    VERBATIM)
endif()
