-- CreateTable
CREATE TABLE "berths" (
    "id" SERIAL NOT NULL,
    "code" TEXT NOT NULL,
    "length_cm" INTEGER NOT NULL,

    CONSTRAINT "berths_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "bookings" (
    "id" SERIAL NOT NULL,
    "berth_id" INTEGER NOT NULL,
    "boat" TEXT NOT NULL,
    "night" DATE NOT NULL,
    "confirmed_at" TIMESTAMP(3),
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "bookings_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "berths_code_key" ON "berths"("code");

-- CreateIndex
CREATE UNIQUE INDEX "bookings_berth_id_night_key" ON "bookings"("berth_id", "night");

-- AddForeignKey
ALTER TABLE "bookings" ADD CONSTRAINT "bookings_berth_id_fkey" FOREIGN KEY ("berth_id") REFERENCES "berths"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
