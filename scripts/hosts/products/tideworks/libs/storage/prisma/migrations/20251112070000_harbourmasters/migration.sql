-- CreateTable
CREATE TABLE "harbourmasters" (
    "id" SERIAL NOT NULL,
    "name" TEXT NOT NULL,
    "password" TEXT NOT NULL,
    "is_chief" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "harbourmasters_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "harbourmasters_name_key" ON "harbourmasters"("name");
